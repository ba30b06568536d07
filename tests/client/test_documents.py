"""What the documents of the client show is run as it stands, in order, in one session a document."""

import contextlib
import io
import re
import shlex
import subprocess

import pytest

from tests.client.conftest import CLI, command_environment
from tests.client.running import ROOT

pytestmark = pytest.mark.engine

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document, language):
    """The blocks in a language, each with what is said to be its output (None: nothing is said)."""
    found = BLOCK.findall((ROOT / "docs/client" / document).read_text(encoding="utf-8"))
    after = [*found[1:], ("", "")]
    return [
        (text, output if kind == "text" else None)
        for (own, text), (kind, output) in zip(found, after, strict=True)
        if own == language
    ]


def test_the_python_of_the_sdk(running, monkeypatch):
    monkeypatch.setenv("GATEWAY_URL", running.url)
    monkeypatch.setenv("GATEWAY_API_KEY", running.api_key)
    monkeypatch.chdir(ROOT)
    names = {}
    for code, output in blocks("python.md", "python"):
        said = io.StringIO()
        code = code.replace("user_001", "documents_001")  # other tests have tasks in that one
        with contextlib.redirect_stdout(said):
            exec(compile(code, "python.md", "exec"), names)  # noqa: S102 - it is ours
        if output is not None:
            assert said.getvalue() == output
    names["client"].close()


def test_the_shell_of_the_command(running, tmp_path):
    (tmp_path / "gateway").write_text(f'#!/bin/sh\nexec {shlex.join(CLI)} "$@"\n')
    (tmp_path / "gateway").chmod(0o755)
    environment = command_environment(running)
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    for commands, _ in blocks("cli.md", "sh"):
        done = subprocess.run(
            ["sh", "-eu"],
            input=commands.replace("user_001", "documents_001"),  # made by the test above
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr


def test_every_command_is_shown():
    shown = " ".join(text for text, _ in blocks("cli.md", "sh"))
    commands = {
        "task": "submit list show follow cancel retry",
        "trace": "create list show close",
        "workspace": "create list show archive restore files upload download",
        "agent": "list show run",
    }

    for noun, verbs in commands.items():
        for verb in verbs.split():
            assert f"gateway {noun} {verb}" in shown
