"""The public door: a plain script, from any folder, with nothing of Django in it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FIRST_CODE = """
from gateway.core.lifecycle import TraceManager          # in the same installation: direct
from gateway.core.executor import TaskManager
trace_id = TraceManager().create_trace(workspace_id="user_001", agent_type="personal_assistant")
task_id = TaskManager().submit_task(trace_id=trace_id, task_description="分析销售数据")
print(TaskManager().get_task(task_id)["status"])         # pending / running / completed / failed
"""


def start(program: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Start ``program`` in ``folder``, with little more than PYTHONPATH and a data folder."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "GATEWAY_DATA_DIR": str(folder / "fresh"),
            **environment,
        },
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip


def run(program: str, folder: Path, **environment: str) -> tuple[int | None, str, str]:
    process = start(program, folder, **environment)
    out, err = process.communicate(timeout=90)
    return process.returncode, out.strip(), err.strip()


def test_the_first_code_anyone_writes_works(tmp_path):
    assert run(FIRST_CODE, tmp_path) == (0, "pending", "")
    assert run(FIRST_CODE, tmp_path) == (0, "pending", "")

    counted = "from gateway.core.executor import TaskManager as T\nprint(len(T().list_tasks()))"
    assert run(counted, tmp_path) == (0, "2", "")


def test_scripts_that_start_together_on_a_fresh_folder_all_work(tmp_path):
    started = [start(FIRST_CODE, tmp_path) for _ in range(3)]

    ended = [process.communicate(timeout=90) for process in started]

    assert [(out.strip(), err) for out, err in ended] == [("pending", "")] * 3


def test_a_database_without_migrations_is_refused_with_the_command_that_mends_it(tmp_path):
    (tmp_path / "fresh").mkdir()
    (tmp_path / "fresh" / "gateway.sqlite3").touch()

    code, out, err = run(FIRST_CODE, tmp_path)

    assert (code, out) == (1, "")
    assert "python manage.py migrate" in err.splitlines()[-1]


def test_a_database_that_cannot_be_reached_is_named(tmp_path):
    code, _, err = run(FIRST_CODE, tmp_path, DATABASE_URL="postgres://nobody@127.0.0.1:1/none")

    assert code == 1
    assert "The database cannot be reached" in err
    assert "DATABASE_URL" in err


def test_an_application_with_settings_of_its_own_is_left_alone(tmp_path):
    program = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "gatewaysite.settings"
import django
django.setup()
from gateway.core.lifecycle import AgentTypeManager, TraceManager, WorkspaceManager
print(TraceManager.__module__)
"""
    assert run(program, tmp_path) == (0, "lifecycle.trace_manager", "")
    assert not (tmp_path / "fresh" / "gateway.sqlite3").exists()


@pytest.mark.parametrize("door", ["executor", "lifecycle"])
def test_the_door_names_what_it_opens(door):
    source = (ROOT / "gateway" / "core" / f"{door}.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    imported = {
        alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    } - {"annotations"}
    [names] = [node.value for node in tree.body if isinstance(node, ast.Assign)]

    assert set(ast.literal_eval(names)) == imported
