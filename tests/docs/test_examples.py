"""The examples of the documents do what the documents say: each block is run as it stands.

One real installation serves them all, on data of its own. Of a document, in order: a block that begins with
the path of a file in ``config/agents`` is that file; other Python and shell is run; a ``text`` block right
after Python is exactly what it prints.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import venv
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    "README.md",
    "docs/guides/quickstart.md",
    "docs/guides/internal-agent.md",
    "docs/guides/external-agent.md",
    "docs/api/README.md",
    "docs/api/errors.md",
    "docs/core/executor.md",
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# config/agents/(\S+)\n")
START = "make run\n"
NOT_FROM_INSIDE = "make test\n"
OTHER_PYTHON = "/opt/apart/bin/python"
PATIENCE_SECONDS = 60

pytestmark = [pytest.mark.engine, pytest.mark.timeout(180)]


@dataclass(frozen=True)
class Block:
    """A fenced block, and what the document says that it prints."""

    language: str
    text: str
    prints: str | None


def blocks_of(document):
    found = BLOCK.findall((ROOT / document).read_text(encoding="utf-8"))
    after = [*found[1:], ("", "")]
    return [
        Block(language, text, said if language == "python" and next_one == "text" else None)
        for (language, text), (next_one, said) in zip(found, after, strict=True)
    ]


class Installation:
    """Gateway, started by the very command that the documents name."""

    def __init__(self, folder):
        self.port = free_port()
        self.config = folder / "config"
        self.lines = []
        self.other_python = folder / "apart"
        shutil.copytree(ROOT / "config", self.config)
        venv.create(self.other_python, with_pip=False)
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GATEWAY_", "DJANGO_", "MAKE", "MFLAGS"))
        } | {
            "GATEWAY_DATA_DIR": str(folder / "var"),
            "GATEWAY_CONFIG_DIR": str(self.config),
            "DATABASE_URL": "",
            "LANGUAGE_CODE": "en",
            "OPENAI_API_KEY": "",
            "COLUMNS": "100",
        }
        self.process = subprocess.Popen(
            self._start(),
            cwd=ROOT,
            env={**self.environment, "ARGS": f"--port {self.port}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _start(self):
        if Path(sys.prefix) == ROOT / ".venv" and shutil.which("make"):
            return shlex.split(START)
        return [sys.executable, "manage.py", "up", "--port", str(self.port)]  # what `make run` does

    def _read(self):
        with self.process.stdout as output:
            self.lines.extend(line.rstrip() for line in output)

    @property
    def text(self):
        return "\n".join(self.lines)

    def wait_for(self, sentence):
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while sentence not in self.text:
            assert time.monotonic() < give_up_at, self.text
            assert self.process.poll() is None, self.text
            time.sleep(0.1)

    def keep(self, name, text):
        """Put an agent's file where the document says, with an interpreter that exists here."""
        path = self.config / "agents" / name
        path.write_text(text.replace(OTHER_PYTHON, str(self.other_python / "bin/python")), encoding="utf-8")

    def python(self, code):
        return self._run([sys.executable, "-"], code)

    def shell(self, commands):
        return self._run(["sh", "-eu"], commands.replace(".venv/bin/python", shlex.quote(sys.executable)))

    def _run(self, argv, given):
        done = subprocess.run(
            argv, input=given, cwd=ROOT, env=self.environment, capture_output=True, text=True,
            timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{given}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def stop(self):
        """What Ctrl-C does: SIGINT to the terminal's whole group."""
        family = [*psutil.Process(self.process.pid).children(recursive=True)]
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        return psutil.wait_procs(family, timeout=10)[1]

    def clear(self):
        if self.process.poll() is None:
            for one in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
                one.kill()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    started = Installation(tmp_path_factory.mktemp("examples"))
    try:
        started.wait_for("Ctrl-C stops everything.")
        yield started
        assert started.stop() == [], "something was left behind"
        assert started.lines[-1] == "Stopped."
    finally:
        started.clear()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_examples_of_a_document_run(document, installation):
    for block in blocks_of(document):
        if file := FILE.match(block.text):
            installation.keep(file[1], block.text)
        elif block.language == "python":
            printed = installation.python(block.text)
            assert block.prints is None or printed == block.prints
        elif block.language == "sh" and block.text not in (START, NOT_FROM_INSIDE):
            installation.shell(block.text)


def test_the_readme_shows_what_the_first_start_prints(installation):
    shown = next(
        text for language, text in BLOCK.findall((ROOT / "README.md").read_text()) if language == "text"
    )

    lines = [line for line in shown.splitlines() if line.strip(" …")]

    assert len(lines) > 10
    assert [line for line in lines if not re.search(as_pattern(line), installation.text)] == []


def as_pattern(line):
    """A line as the document shows it: numbers may differ, … stands for anything, blanks for any width."""
    parts = [re.escape(re.sub(r"\s+", " ", part)) for part in line.split("…")]
    return re.sub(r"\\ ", r"\\s+", re.sub(r"\d+", r"\\d+", ".*".join(parts)))


def test_the_first_code_of_the_readme_prints_a_status(installation):
    first = next(block for block in blocks_of("README.md") if block.language == "python")

    assert installation.python(first.text).strip() in ("pending", "running", "failed")


def test_both_languages_of_the_quick_start_have_the_same_examples():
    assert blocks_of("docs/guides/quickstart.zh-CN.md") == blocks_of("docs/guides/quickstart.md")
