"""Settings from the environment: a bad value stops the start in one sentence: variable, value, cure."""

from __future__ import annotations

import ast
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECRET = "s3cret-" * 6


def start(data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start a command that reads every setting and needs no database, in an environment of its own."""
    return run([sys.executable, "manage.py", "config", "check"], data_dir, **environment)


def run(argv: list[str], data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {"PATH": os.environ["PATH"], "GATEWAY_DATA_DIR": str(data_dir), **environment}
    return subprocess.run(argv, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=60, check=False)


def setting(data_dir: Path, expression: str, **environment: str) -> str:
    """The value of ``expression`` over the settings, as a program prints it."""
    program = f"from django.conf import settings; print({expression})"
    done = run(
        [sys.executable, "-W", "error", "-c", program], data_dir, PYTHONPATH=str(ROOT),
        DJANGO_SETTINGS_MODULE="gatewaysite.settings", **environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- Bad values --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("DATABASE_URL", "mysql://u:secretpw@host/db", "Use sqlite:///PATH or postgres://"),
        ("DATABASE_URL", "nonsense", "Use sqlite:///PATH or postgres://"),
        ("DATABASE_URL", "postgres://u:secretpw@host:port/db", "Use sqlite:///PATH or postgres://"),
        ("DATABASE_URL", "postgres://u:secretpw@[::1/db", "Use sqlite:///PATH or postgres://"),
        ("DATABASE_URL", "sqlite://:memory:", "Use sqlite:///PATH or postgres://"),
        ("SECRET_KEY", "short", "Use at least 32 random ones"),
        ("DEBUG", "perhaps", "Use true or false."),
        ("GATEWAY_PUBLIC_URL", "gateway.example.com", "Use an address such as https://"),
        ("GATEWAY_PUBLIC_URL", "ftp://gateway.example.com", "Use an address such as https://"),
        ("GATEWAY_PUBLIC_URL", "https://[::1", "Use an address such as https://"),
        ("GATEWAY_LEASE_SECONDS", "0.5", "at least 1."),
        ("GATEWAY_LEASE_SECONDS", "soon", "Use a number of seconds"),
        ("GATEWAY_LEASE_SECONDS", "nan", "Use a number of seconds"),
        ("GATEWAY_LEASE_SECONDS", "inf", "Use a number of seconds"),
        ("GATEWAY_REAPER_SECONDS", "0", "at least 0.05."),
        ("GATEWAY_DRAIN_SECONDS", "-1", "at least 0."),
        ("GATEWAY_WATCHDOG_SECONDS", "1", "at least 2."),
        ("GATEWAY_MAX_RUNS_PER_WORKER", "0", "Use a whole number of at least 1."),
        ("GATEWAY_MAX_RUNS_PER_WORKER", "1.5", "Use a whole number of at least 1."),
        ("GATEWAY_MAX_CHILDREN_PER_WORKER", "0", "Use a whole number of at least 1."),
        ("GATEWAY_WORKER_PROCESSES", "none", "Use a whole number of at least 1."),
        ("GATEWAY_AUTO_CREATE_WORKSPACES", "2", "Use true or false."),
        ("GATEWAY_MAX_UPLOAD_MB", "0", "Use a whole number of at least 1."),
        ("LANGUAGE_CODE", "fr", "Use one of: en, zh-hans."),
        ("TIME_ZONE", "Mars/Olympus", "Use a name such as Asia/Shanghai"),
        ("GATEWAY_DATA_DIR", "/dev/null/data", "Point it at a folder that this user may write."),
        ("SECRET_KEY_FILE", "/no/such/file", "Point it at a readable file, or set SECRET_KEY instead."),
        ("DATABASE_URL_FILE", "/", "Point it at a readable file, or set DATABASE_URL instead."),
        ("GATEWAY_LEASE_SECONDS_FILE", sys.executable, "Point it at a readable file"),
    ],
)
def test_a_bad_value_stops_the_start_in_one_sentence(tmp_path, name, value, cure):
    done = start(tmp_path, **{name: value})

    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith(name)
    assert cure in line
    assert value in line or name in ("DATABASE_URL", "SECRET_KEY")
    assert "secretpw" not in line


def test_good_values_start(tmp_path):
    done = start(
        tmp_path,
        SECRET_KEY=SECRET,
        DEBUG="yes",
        GATEWAY_PUBLIC_URL="https://gateway.example.com/",
        GATEWAY_DRAIN_SECONDS="0",
        GATEWAY_LEASE_SECONDS="1",
        TIME_ZONE="Asia/Shanghai",
        LANGUAGE_CODE="zh-hans",
    )

    assert (done.returncode, done.stderr) == (0, "")


# --- Where values come from --------------------------------------------------------------------------------


def test_a_value_may_stand_in_a_file(tmp_path):
    (tmp_path / "secret").write_text(f"  {SECRET}\n")

    shown = setting(tmp_path, "settings.SECRET_KEY", SECRET_KEY_FILE=str(tmp_path / "secret"))

    assert shown == SECRET


@pytest.mark.parametrize("value", [f"${SECRET}", f"${{HOME}}{SECRET}", f"{SECRET}#x", f"\\${SECRET}"])
def test_a_value_is_taken_as_it_stands(tmp_path, value):
    assert setting(tmp_path, "settings.SECRET_KEY", SECRET_KEY=value) == value


@pytest.mark.parametrize("name", ["GATEWAY_LEASE_SECONDS", "DEBUG", "DATABASE_URL", "TIME_ZONE"])
def test_a_blank_value_is_none(tmp_path, name):
    assert start(tmp_path, **{name: "  "}).returncode == 0


def test_a_secret_key_is_made_once_and_kept_for_the_owner_alone(tmp_path):
    folder = tmp_path / "data"

    first = setting(folder, "settings.SECRET_KEY")
    second = setting(folder, "settings.SECRET_KEY")

    assert first == second
    assert len(first) >= 43
    assert stat.S_IMODE((folder / "secret-key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("environment", "expression", "expected"),
    [
        ({}, "settings.DEBUG, settings.ALLOWED_HOSTS", "False ['localhost', '127.0.0.1', '[::1]']"),
        ({}, "settings.DATABASES['default']['ENGINE']", "gatewaysite.sqlite"),
        ({}, "settings.GATEWAY_CONFIG_DIR", str(ROOT / "config")),
        (
            {"GATEWAY_PUBLIC_URL": "https://gw.example.com/"},
            "settings.GATEWAY_PUBLIC_URL, settings.ALLOWED_HOSTS[-1], settings.SESSION_COOKIE_SECURE",
            "https://gw.example.com gw.example.com True",
        ),
        ({"ALLOWED_HOSTS": "a.example, b.example,"}, "settings.ALLOWED_HOSTS", "['a.example', 'b.example']"),
        (
            {"DATABASE_URL": "postgres://u:p@h:5433/n"},
            "[settings.DATABASES['default'][key] for key in ('ENGINE', 'NAME', 'USER', 'PASSWORD', 'PORT')]",
            "['django.db.backends.postgresql', 'n', 'u', 'p', 5433]",
        ),
        (
            {"DATABASE_URL": "sqlite:////some/where.db"},
            "settings.DATABASES['default']['NAME']",
            "/some/where.db",
        ),
    ],
)
def test_settings_are_what_the_environment_says(tmp_path, environment, expression, expected):
    assert setting(tmp_path, expression, **environment) == expected


def test_a_relative_data_folder_is_taken_from_the_current_directory(tmp_path):
    program = "from django.conf import settings; print(settings.GATEWAY_DATA_DIR)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
        env={
            "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "GATEWAY_DATA_DIR": "here",
            "DJANGO_SETTINGS_MODULE": "gatewaysite.settings",
        },
    )  # fmt: skip

    assert done.stdout.strip() == str(tmp_path / "here")


def test_sqlite_is_set_up_for_several_writing_processes(tmp_path):
    options = setting(tmp_path, "settings.DATABASES['default']['OPTIONS']")

    assert "'transaction_mode': 'IMMEDIATE'" in options
    assert "journal_mode=WAL" in options
    assert "foreign_keys=ON" in options


# --- .env.example ------------------------------------------------------------------------------------------

READS = {"text", "flag", "whole", "seconds", "words", "path", "url", "choice", "secret"}


def settings_that_are_read(source: str) -> dict[str, object]:
    """The names that ``source`` reads from ``env``, with their defaults where those are written out."""
    read: dict[str, object] = {}
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "env"
            and node.func.attr in READS
        ):
            name = ast.literal_eval(node.args[0])
            given = [*node.args[1:2], *(word.value for word in node.keywords if word.arg == "default")]
            read[name] = given[0].value if given and isinstance(given[0], ast.Constant) else read.get(name)
    return read


def example_settings(text: str) -> dict[str, str]:
    """The settings of an example file; what stands below "Read by agents" is none of Gateway's."""
    ours = text.split("Read by agents, not by Gateway")[0]
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", ours, re.MULTILINE))


def test_the_example_file_names_every_setting_that_is_read_and_no_other():
    read = settings_that_are_read((ROOT / "gatewaysite" / "settings.py").read_text(encoding="utf-8"))
    example = example_settings((ROOT / ".env.example").read_text(encoding="utf-8"))

    assert set(example) == set(read)
    assert len(read) > 10


def test_the_defaults_in_the_example_file_are_the_real_ones():
    read = settings_that_are_read((ROOT / "gatewaysite" / "settings.py").read_text(encoding="utf-8"))
    example = example_settings((ROOT / ".env.example").read_text(encoding="utf-8"))

    for name, value in example.items():
        default = read[name]
        if value:
            assert value == (str(default).lower() if isinstance(default, bool) else str(default)), name


def test_reads_are_found_by_their_shape():
    source = dedent(
        """
        A = env.flag("A", default=True)
        B = env.whole("B", 5, minimum=1)
        C = other.text("C")
        D = f(env.text("D"), env.path("E", BASE / "x"))
        """
    )

    assert settings_that_are_read(source) == {"A": True, "B": 5, "D": None, "E": None}


def test_the_example_file_starts_as_it_is(tmp_path):
    lines = example_settings((ROOT / ".env.example").read_text(encoding="utf-8"))

    assert start(tmp_path, **{name: value for name, value in lines.items() if value}).returncode == 0
