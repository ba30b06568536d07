"""One `manage.py up`: real processes on a real port, and what it says."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 60


class Up:
    """One `manage.py up`, its output by lines as it comes."""

    def __init__(self, data_dir, *arguments, **environment):
        self.port = free_port()
        self.lines = []
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(self.port), *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "GATEWAY_DATA_DIR": str(data_dir),
                "COLUMNS": "120",
                "LANG": "C.UTF-8",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        with self.process.stdout as output:
            for line in output:
                with self._news:
                    self.lines.append(line.rstrip())
                    self._news.notify_all()

    @property
    def text(self):
        return "\n".join(self.lines)

    def said(self, pattern):
        """Wait until a line matches; returns the match."""

        def found():
            return re.search(pattern, self.text, re.MULTILINE)

        with self._news:
            assert self._news.wait_for(found, PATIENCE_SECONDS), self.text
        return found()

    def children(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, word):
        return next(one for one in self.children() if word in " ".join(one.cmdline()))

    def stop(self, number=signal.SIGINT):
        """Send the signal and return the exit code."""
        family = self.children() if self.process.poll() is None else []
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_SECONDS)
        assert not psutil.wait_procs(family, timeout=10)[1], "something was left behind"
        return code

    def clear(self):
        """Kill what is left, whatever the test came to."""
        if self.process.poll() is None:
            for one in [*self.children(), psutil.Process(self.process.pid)]:
                one.kill()
        self.process.wait(10)
        self._reader.join(10)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
