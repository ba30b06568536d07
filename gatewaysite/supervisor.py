"""`manage.py up`: web and worker under one small supervisor, which holds no database connection."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, TYPE_CHECKING

from django.conf import settings
from django.db import connections
from rich.text import Text

from gateway.errors import NotReady
from gatewaysite import first_start
from gatewaysite.sample import sample_was_run
from lifecycle import installation

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from gateway.client.words import Words

TICK_SECONDS = 0.05
READY_SECONDS = 60
CALM_SECONDS = 10.0
MAX_PAUSE_SECONDS = 15.0
STOP_SECONDS = 10.0
"""What a stopping worker may take beyond GATEWAY_DRAIN_SECONDS."""


class Child:
    """One process that has to be there as long as the supervisor is."""

    def __init__(self, name: str, argv: list[str]) -> None:
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self._argv = argv
        self._started_at = 0.0
        self._start_at = 0.0
        self._pause = 0.0

    def keep(self, say: Callable[..., None]) -> None:
        """Start it if it is not there; one that keeps dying waits a little longer each time."""
        now = time.monotonic()
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return
            say("The {name} process ended (code {code}); starting it again.", name=self.name, code=code)
            calm = now - self._started_at > CALM_SECONDS
            self._pause = 0.0 if calm else min(max(self._pause * 2, 0.5), MAX_PAUSE_SECONDS)
            self._start_at = now + self._pause
            self.process = None
        if now >= self._start_at:
            # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which stops in order.
            self.process = subprocess.Popen(self._argv, cwd=settings.BASE_DIR, start_new_session=True)
            self._started_at = now

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.process is not None and self.alive:
            self.process.send_signal(number)


class Supervisor:
    """Prepares the installation, keeps web and worker alive, and stops them in order."""

    def __init__(
        self, *, host: str, port: int, processes: int, demo: bool, console: Console, words: Words
    ) -> None:
        self._host = host
        self._port = port
        self._demo = demo
        self._console = console
        self._words = words
        me = str(os.getpid())
        manage = str(Path(settings.BASE_DIR) / "manage.py")
        self._web = Child("web", [sys.executable, "-m", "gatewaysite.web", host, str(port), me])
        self._worker = Child(
            "worker", [sys.executable, manage, "worker", "--processes", str(processes), "--parent", me]
        )
        self._sample_argv = [sys.executable, manage, "sample"]
        self._signals = 0
        self._lock: IO[str] | None = None

    @property
    def url(self) -> str:
        """The address at which the web process is reached from this machine."""
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._host, self._host)  # noqa: S104 - not bound here
        return f"http://{shown}:{self._port}"

    def run(self) -> int:
        """Run until SIGINT or SIGTERM; returns an exit code. Raises ``NotReady`` if it cannot start."""
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)
        self._take_place()
        credentials, first = self._prepare()
        self._web.keep(self._say)
        self._worker.keep(self._say)
        if self._wait_until_ready():
            self._console.print(f"ready {self.url}", style="bold green", highlight=False)
            self._show_credentials(credentials)
            if first and self._demo:
                self._run_sample()
            if not self._signals:
                self._show_addresses()
        while not self._signals:
            self._tick()
        return self._stop()

    def _on_signal(self, number: int, frame: object) -> None:
        self._signals += 1

    def _say(self, sentence: str, **values: object) -> None:
        self._console.print(self._words(sentence, **values), highlight=False, style="yellow")

    def _tick(self) -> None:
        self._web.keep(self._say)
        self._worker.keep(self._say)
        time.sleep(TICK_SECONDS)

    def _take_place(self) -> None:
        """One supervisor a data directory, and a free port: else say so before anything is started."""
        self._lock = (Path(settings.GATEWAY_DATA_DIR) / "up.lock").open("a+")
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise NotReady(
                f"Gateway runs already with the data directory {settings.GATEWAY_DATA_DIR}.",
                hint="Stop it first, or set GATEWAY_DATA_DIR to another folder.",
            ) from None
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((self._host, self._port))
        except OSError as exc:
            raise NotReady(
                f"{self._host}:{self._port} cannot be listened on ({exc.strerror}).",
                hint="Use another port, e.g. `make run ARGS='--port 8001'`.",
            ) from None

    def _prepare(self) -> tuple[first_start.Credentials | None, bool]:
        if installation.unapplied_migrations():
            self._say("Preparing the database …")
        installation.prepare()
        credentials = first_start.make_credentials()
        first = not sample_was_run()
        connections.close_all()
        return credentials, first

    def _wait_until_ready(self) -> bool:
        give_up_at = time.monotonic() + READY_SECONDS
        answer = ""
        while not self._signals and time.monotonic() < give_up_at:
            self._tick()
            ready, answer = self._ask_ready()
            if ready:
                return True
        if not self._signals:
            address = f"{self.url}/readyz"
            sentence = "Not ready after {seconds} s; {url} says: {answer}"
            self._say(sentence, seconds=READY_SECONDS, url=address, answer=answer)
        return False

    def _ask_ready(self) -> tuple[bool, str]:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as response:  # noqa: S310 - our own address
                return response.status == 200, ""
        except urllib.error.HTTPError as exc:
            return False, exc.read().decode(errors="replace")
        except OSError as exc:
            return False, str(exc)

    def _run_sample(self) -> None:
        sample = subprocess.Popen(self._sample_argv, cwd=settings.BASE_DIR, start_new_session=True)
        while sample.poll() is None:
            if self._signals:
                sample.terminate()
            self._tick()

    def _show_credentials(self, credentials: first_start.Credentials | None) -> None:
        if credentials is None:
            return
        folder = settings.GATEWAY_DATA_DIR
        self._console.print(
            self._words("Made for this installation, shown once (kept in {path}):", path=folder),
            highlight=False,
        )
        self._line(self._words("admin password"), credentials.admin_password)
        self._line(self._words("API key"), credentials.api_key)

    def _show_addresses(self) -> None:
        words = self._words
        self._console.print(words("To open"), style="bold")
        note = words("sign in as {name}, password in {path}", name="admin", path=first_start.password_file())
        self._line(words("Admin"), f"{self.url}/admin/", note)
        self._line(words("Tasks"), f"{self.url}/admin/executor/task/")
        self._line(words("Health"), f"{self.url}/readyz")
        self._console.print(words("Ctrl-C stops everything."), style="dim")

    def _line(self, name: str, value: str, note: str = "") -> None:
        line = Text.assemble("  ", (name, "bold"), "  ", (value, "cyan"), "  " if note else "", (note, "dim"))
        self._console.print(line, soft_wrap=True)

    def _stop(self) -> int:
        seconds = settings.GATEWAY_DRAIN_SECONDS
        sentence = (
            "Stopping: running tasks may take {seconds} s to finish, then they are given back. "
            "Ctrl-C again: at once."
        )
        self._say(sentence, seconds=f"{seconds:g}")
        self._worker.signal(signal.SIGTERM)
        self._web.signal(signal.SIGTERM)
        give_up_at = time.monotonic() + seconds + STOP_SECONDS
        while (self._web.alive or self._worker.alive) and time.monotonic() < give_up_at and self._signals < 2:
            time.sleep(TICK_SECONDS)
        self._worker.signal(signal.SIGTERM)  # a second one: at once
        for child in (self._web, self._worker):
            with contextlib.suppress(subprocess.TimeoutExpired):
                if child.process is not None:
                    child.process.wait(2)
            child.signal(signal.SIGKILL)
        self._say("Stopped.")
        return 0
