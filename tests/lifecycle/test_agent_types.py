"""Agent types from files: taken whole or refused with file, field and expectation; versions never change."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import dedent

import pytest
from django.db import connection

from gateway.errors import AgentTypeNotFound, BadConfiguration
from lifecycle.agent_config import parse
from lifecycle.agent_type_manager import AgentTypeManager, FileReport
from lifecycle.models import AgentType, AgentVersion
from tests import make
from tests.threads import together

pytestmark = pytest.mark.django_db
manager = AgentTypeManager()

GOOD = """
name: {name}
runner: {{kind: python, entrypoint: "agents_here:run"}}
"""


@pytest.fixture
def folder(tmp_path, settings) -> Path:
    """The site's own ``config/agents``, with one module of agents in it."""
    settings.GATEWAY_CONFIG_DIR = tmp_path / "config"
    here = tmp_path / "config" / "agents"
    here.mkdir(parents=True)
    (here / "agents_here.py").write_text(
        "async def run(ctx): ...\ndef plain(ctx): ...\nnumber = 5\nprint('noise on stdout')\n"
    )
    return here


def write(folder: Path, text: str | bytes, name: str = "echo.yaml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
    return path


def write_good(folder: Path, name: str = "echo", more: str = "") -> Path:
    return write(folder, GOOD.format(name=name) + more, f"{name}.yaml")


def imported() -> FileReport:
    [report] = manager.import_files()
    return report


# --- Importing ---------------------------------------------------------------------------------------------


def test_a_good_file_becomes_an_active_version(folder):
    write(
        folder,
        """
        name: echo
        title: {en: Echo, zh-hans: 回声}
        description: Says it again.
        runner: {kind: python, entrypoint: "agents_here:plain"}
        limits: {timeout_seconds: 5, max_running: 2, retry_on: [error]}
        settings: {depth: 3}
        env: {A: text, B: {environment: HOST_B}}
        input_schema: {type: object}
        """,
    )

    assert imported() == FileReport("echo", "imported", version=1)

    kind = manager.get("ECHO")
    assert (kind.name, kind.enabled, kind.source, kind.problem) == ("echo", True, "file", "")
    assert kind.active_version is not None
    version = kind.active_version
    assert (version.number, version.mode, version.max_running) == (1, "child", 2)
    assert version.created_by == "system"
    assert version.config["title"] == {"en": "Echo", "zh-hans": "回声"}
    assert version.config["limits"]["grace_seconds"] == 10
    assert version.config["env"]["A"] == "text"
    assert version.config["env"]["B"]["environment"] == "HOST_B"


def test_a_coroutine_function_runs_on_the_loop_and_a_plain_one_in_a_child(folder):
    write_good(folder, "on_loop")
    write(folder, GOOD.format(name="in_child").replace(":run", ":plain"), "in_child.yaml")
    interpreter = folder / "python3"
    interpreter.symlink_to(os.path.realpath("/proc/self/exe"))
    elsewhere = f'{{kind: python, entrypoint: "agents_here:run", python: "{interpreter}"}}'
    write(folder, f"name: elsewhere\nrunner: {elsewhere}\n", "elsewhere.yaml")

    manager.import_files()

    modes = dict(AgentVersion.objects.values_list("agent_type_id", "mode"))
    assert modes == {"on_loop": "async", "in_child": "child", "elsewhere": "child"}


def test_a_file_that_did_not_change_does_nothing(folder, django_assert_max_num_queries):
    write_good(folder)
    imported()

    with django_assert_max_num_queries(2):
        assert imported() == FileReport("echo", "unchanged", version=1)

    assert AgentVersion.objects.count() == 1


def test_a_change_makes_another_version_and_keeps_the_old_one(folder):
    write_good(folder)
    imported()
    write_good(folder, more="settings: {depth: 2}\n")

    assert imported() == FileReport("echo", "imported", version=2)

    old, new = AgentVersion.objects.order_by("number")
    assert (old.config["settings"], new.config["settings"]) == ({}, {"depth": 2})
    assert manager.get("echo").active_version == new


def test_a_file_can_disable_its_type_and_enable_it_again(folder):
    write_good(folder, more="enabled: false\n")
    imported()
    assert not manager.get("echo").enabled

    write_good(folder)
    imported()

    assert manager.get("echo").enabled


def test_a_name_that_was_just_added_is_found_without_an_import(folder):
    write_good(folder)

    assert manager.get("Echo").name == "echo"


def test_an_unknown_name_is_not_found_and_says_what_there_is(folder):
    with pytest.raises(AgentTypeNotFound, match="Registered: none yet") as refused:
        manager.get("echo")

    assert refused.value.errors[0]["field"] == "agent_type"


def test_checking_says_what_importing_would_and_changes_nothing(folder):
    write_good(folder)
    write(folder, "name: bad\n", "bad.yaml")

    bad, good = manager.check_files()

    assert (bad.name, bad.outcome) == ("bad", "refused")
    assert (good.name, good.outcome) == ("echo", "unchanged")
    assert not AgentType.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_processes_that_import_at_the_same_moment_make_one_version(folder):
    write_good(folder)

    together(*[lambda: AgentTypeManager().import_files()] * 4)

    assert AgentVersion.objects.count() == 1


# --- Refusing ----------------------------------------------------------------------------------------------

BAD_FILES = [
    ("name: [", "line 1: is not YAML"),
    ("name: echo\n\tx: 1", "line 2: is not YAML"),
    ("name: echo\nsettings: {day: 2026-13-45}", "cannot be understood"),
    ("settings: " + "[" * 5000, "cannot be understood"),
    (b"name: \xff\xfe", "is not UTF-8 text"),
    ("", "must be a mapping"),
    ("- a\n- b", "must be a mapping"),
    ("just text", "must be a mapping"),
    ("name: echo", "runner Field required"),
    ("runner: {kind: python, entrypoint: 'a:b'}", "name Field required"),
    (GOOD.format(name="other"), "name is 'other', but the file's name says 'echo'"),
    (GOOD.format(name="no slug"), "name Use 1 to 64 letters"),
    (GOOD.format(name="echo") + "limts: {}", "limts is not known; did you mean 'limits'?"),
    (GOOD.format(name="echo") + "limits: {timeout: 5}", "limits.timeout is not known; did you mean"),
    (GOOD.format(name="echo") + "limits: {timeout_seconds: -1}", "limits.timeout_seconds"),
    (GOOD.format(name="echo") + "limits: {timeout_seconds: soon}", "limits.timeout_seconds"),
    (GOOD.format(name="echo") + "limits: {timeout_seconds: .nan}", "limits.timeout_seconds"),
    (GOOD.format(name="echo") + "limits: {timeout_seconds: .inf}", "limits.timeout_seconds"),
    (GOOD.format(name="echo") + "limits: {retry_delay_seconds: 1.0e+300}", "limits.retry_delay_seconds"),
    (GOOD.format(name="echo") + "limits: {grace_seconds: .inf}", "limits.grace_seconds"),
    (GOOD.format(name="echo") + "limits: {max_attempts: 0}", "limits.max_attempts"),
    (GOOD.format(name="echo") + "limits: {max_attempts: 101}", "limits.max_attempts"),
    (GOOD.format(name="echo") + "limits: {max_running: -1}", "limits.max_running"),
    (GOOD.format(name="echo") + "limits: {max_running: 9999999999}", "limits.max_running"),
    (GOOD.format(name="echo") + "limits: {retry_on: [sometimes]}", "limits.retry_on.0"),
    (GOOD.format(name="echo") + "title: {fr: Écho}", "title.fr"),
    (GOOD.format(name="echo") + "enabled: maybe", "enabled"),
    (GOOD.format(name="echo") + "settings: [1]", "settings"),
    (GOOD.format(name="echo") + "settings: {x: .nan}", "settings"),
    (GOOD.format(name="echo") + 'settings: {x: "a\\0b"}', "settings"),
    (GOOD.format(name="echo") + "settings: {day: 2026-03-01}", "settings"),
    (GOOD.format(name="echo") + "settings: {x: {1: a}}", "settings"),
    (GOOD.format(name="echo") + 'description: "a\\0b"', "description"),
    (GOOD.format(name="echo") + 'title: "a\\0b"', "title"),
    (GOOD.format(name="echo") + 'env: {A: "a\\0b"}', "env"),
    (GOOD.format(name="echo") + "env: {A: {secret: 5, x: 1}}", "env.A"),
    (GOOD.format(name="echo") + "input_schema: {type: nonsense}", "input_schema is not a JSON Schema"),
    (GOOD.format(name="echo") + "input_schema: {pattern: '('}", "input_schema"),
    ("name: echo\nrunner: {kind: magic}", "runner.kind"),
    ("name: echo\nrunner: {kind: python, entrypoint: nocolon}", "must be 'package.module:function'"),
    ("name: echo\nrunner: {kind: python, entrypoint: 'a b:c'}", "must be 'package.module:function'"),
    (
        "name: echo\nrunner: {kind: python, entrypoint: 'no_such_module:run'}",
        "no_such_module cannot be imported",
    ),
    ("name: echo\nrunner: {kind: python, entrypoint: 'agents_here:missing'}", "has no function 'missing'"),
    ("name: echo\nrunner: {kind: python, entrypoint: 'agents_here:number'}", "has no function 'number'"),
    (
        "name: echo\nrunner: {kind: python, entrypoint: 'agents_here:run', python: /no/such}",
        "cannot be started",
    ),
]


@pytest.mark.parametrize(("text", "says"), BAD_FILES, ids=[says[:40] for _, says in BAD_FILES])
def test_a_bad_file_is_refused_with_its_name_and_what_is_wrong(folder, text, says):
    write(folder, text)

    report = imported()

    assert report.outcome == "refused"
    assert says in report.message
    assert report.message.startswith("echo.yaml:")
    kind = AgentType.objects.get()
    assert (kind.active_version, kind.problem) == (None, report.message)


def test_every_problem_of_a_file_is_named_at_once(folder):
    write(folder, GOOD.format(name="echo") + "limits: {max_attempts: 0, max_running: -1}\nwat: 1\n")

    message = imported().message

    assert all(field in message for field in ("limits.max_attempts", "limits.max_running", "wat"))


def test_the_last_good_version_stays_in_force_while_its_file_is_broken(folder):
    write_good(folder)
    imported()
    write(folder, "name: [")

    assert imported().outcome == "refused"

    kind = manager.get("echo")
    assert kind.active_version is not None
    assert kind.active_version.number == 1
    assert "not YAML" in kind.problem
    assert make.a_claim(make.a_task(make.a_trace(agent_type=kind))).agent_type == "echo"


def test_a_file_that_was_mended_to_what_it_was_makes_no_new_version(folder):
    write_good(folder)
    imported()
    write(folder, "name: [")
    imported()
    write_good(folder)

    assert imported() == FileReport("echo", "unchanged", version=1)

    assert manager.get("echo").problem == ""
    assert AgentVersion.objects.count() == 1


def test_a_file_that_was_mended_otherwise_makes_one(folder):
    write_good(folder)
    imported()
    write(folder, "name: [")
    imported()
    write_good(folder, more="description: better\n")

    assert imported() == FileReport("echo", "imported", version=2)
    assert manager.get("echo").problem == ""


def test_a_module_that_ends_the_interpreter_is_refused(folder):
    (folder / "ends.py").write_text("import os\nos._exit(3)\n")
    write(folder, "name: echo\nrunner: {kind: python, entrypoint: 'ends:run'}")

    assert "ended the interpreter" in imported().message


def test_an_agents_code_is_not_imported_into_this_process(folder):
    (folder / "poisonous.py").write_text("import sys\nsys.exit('poison')\n")
    write(folder, "name: echo\nrunner: {kind: python, entrypoint: 'poisonous:run'}")

    assert "poisonous cannot be imported: SystemExit: poison" in imported().message


# --- A folder as people leave it ---------------------------------------------------------------------------


def test_a_bad_file_does_not_hold_up_the_others(folder):
    write(folder, "name: [", "a.yaml")
    write_good(folder, "b")

    outcomes = {report.name: report.outcome for report in manager.import_files()}

    assert outcomes == {"a": "refused", "b": "imported"}


def test_a_folder_that_is_not_there_has_no_files(folder, settings):
    settings.GATEWAY_CONFIG_DIR = folder / "nowhere"

    assert manager.import_files() == []


def test_an_editors_lock_file_is_none_of_ours(folder):
    write_good(folder)
    (folder / ".#echo.yaml").symlink_to("someone@host.1234")
    (folder / ".echo.yaml").write_text("draft")

    assert imported().name == "echo"


@pytest.mark.parametrize("kind", ["folder", "broken link"])
def test_what_cannot_be_read_is_refused(folder, kind):
    path = folder / "echo.yaml"
    path.mkdir() if kind == "folder" else path.symlink_to("missing.yaml")

    report = imported()

    assert report.outcome == "refused"
    assert "echo.yaml: cannot be read" in report.message
    assert manager.check_files() == [report]


def test_names_that_differ_in_case_alone_are_refused(folder):
    write_good(folder, "echo")
    imported()
    write_good(folder, "Echo")

    upper, lower = manager.import_files()

    assert (lower.name, lower.outcome) == ("echo", "unchanged")
    assert (upper.name, upper.outcome) == ("Echo", "refused")
    assert "'echo'" in upper.message
    assert list(AgentType.objects.values_list("name", "problem")) == [("echo", "")]


def test_a_bad_file_whose_name_differs_in_case_alone_is_refused_too(folder):
    write_good(folder, "echo")
    imported()
    write(folder, "name: [", "Echo.yaml")

    assert manager.import_files()[0].outcome == "refused"
    assert manager.get("echo").problem == ""


@pytest.mark.parametrize("name", ["no slug.yaml", "ä.yaml", f"{'x' * 80}.yaml"])
def test_a_file_whose_name_is_no_id_is_refused(folder, name):
    write(folder, GOOD.format(name="echo"), name)

    assert imported().outcome == "refused"
    assert not AgentType.objects.exists()


def test_the_configuration_that_is_shipped_is_good(settings):
    settings.GATEWAY_CONFIG_DIR = settings.BASE_DIR / "config"

    reports = manager.check_files()

    assert reports
    assert [report for report in reports if report.outcome == "refused"] == []


def test_a_configuration_from_elsewhere_is_refused_by_its_source():
    with pytest.raises(BadConfiguration, match="REST: must be a mapping"):
        parse([1], "REST")
    assert connection.is_usable()
