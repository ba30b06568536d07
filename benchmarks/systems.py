"""The systems under test, each in a temporary folder: Gateway, and Django-Q2 as it comes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from benchmarks.recorded import Span, spans

ROOT = Path(__file__).resolve().parent.parent
LOCAL_POSTGRES = "postgres://postgres@127.0.0.1:5432/postgres"
AGENTS = ("no_op", "wait")
MIB = 2**20
LOAD_SECONDS = 300
"""A load that takes longer has failed."""


@dataclass(frozen=True)
class Load:
    """What became of one load: wall-clock moments, and the times that the code noted itself."""

    committed: dict[str, float]
    first: float
    last: float
    done: float
    ran: dict[str, Span]
    took: list[float] = field(default_factory=list)
    """Seconds that each submit took, where that was noted."""

    @property
    def latencies(self) -> list[float]:
        """Milliseconds from each commit to the first line of the code."""
        return sorted((self.ran[key].started - moment) * 1000 for key, moment in self.committed.items())


@dataclass
class System:
    """A queue with its workers, not started yet."""

    name: str
    folder: Path
    cluster: list[str]
    load_module: str
    environment: dict[str, str]
    _process: subprocess.Popen[bytes] | None = None
    _loads: int = 0

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def start(self) -> None:
        """Start the workers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.cluster, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self) -> None:
        """Ask the workers to end, and see to it that nothing of them is left."""
        if self._process is None:
            return
        family = self._family()
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self._process.wait()

    def load(self, what: str, count: int, *, gap: float = 0.0, wait: bool = True) -> Load:
        """Give it ``count`` pieces of work, ``gap`` seconds apart; ``wait`` for all of them to end."""
        self._loads += 1
        path = self.folder / f"ran-{self._loads}"
        argv = [sys.executable, "-m", self.load_module, what, str(count), str(gap), str(path)]
        with self._log.open("ab") as log:
            done = subprocess.run(
                [*argv, "wait" if wait else "go"],
                cwd=ROOT, env=self.environment, check=True, stdout=subprocess.PIPE, stderr=log,
                timeout=LOAD_SECONDS,
            )  # fmt: skip
        return Load(**json.loads(done.stdout), ran=spans(path))

    def ran(self) -> dict[str, Span]:
        """What the latest load has noted so far."""
        return spans(self.folder / f"ran-{self._loads}")

    def log(self) -> str:
        """What its processes wrote to their standard error."""
        return self._log.read_text()

    def memory(self) -> float:
        """MiB that all its processes take, shared pages counted once (PSS); 0 where Linux is not."""
        total = 0
        for one in self._family():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{one.pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
        return total / MIB

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[float]]:
        """Look at the memory twice a second; the list grows meanwhile."""
        seen: list[float] = []
        end = threading.Event()

        def watch() -> None:
            while not end.wait(0.5):
                seen.append(self.memory())

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield seen
        finally:
            end.set()
            thread.join()

    def _family(self) -> list[psutil.Process]:
        if self._process is None:
            return []
        try:
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


@contextlib.contextmanager
def gateway(database_url: str = "", *, started: bool = True) -> Iterator[System]:
    """Gateway with two worker processes, on SQLite in its temporary folder unless a URL is given."""
    with tempfile.TemporaryDirectory(prefix="gateway-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        agents = folder / "config" / "agents"
        agents.mkdir(parents=True)
        for agent in AGENTS:
            text = f"name: {agent}\nrunner: {{kind: python, entrypoint: 'benchmarks.agents:{agent}'}}\n"
            (agents / f"{agent}.yaml").write_text(text)
        environment = os.environ | {
            "GATEWAY_DATA_DIR": str(folder / "data"),
            "GATEWAY_CONFIG_DIR": str(folder / "config"),
            "DATABASE_URL": database_url or f"sqlite:///{folder}/gateway.sqlite3",
        }
        _run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], environment)
        system = System(
            "Gateway, PostgreSQL" if database_url else "Gateway, SQLite",
            folder,
            [sys.executable, "manage.py", "worker", "--processes", "2"],
            "benchmarks.gateway_load",
            environment,
        )
        yield from _kept(system, started)


@contextlib.contextmanager
def stock(workers: int | None = None, *, started: bool = True) -> Iterator[System]:
    """Django-Q2 with its defaults (a worker for each core), or with this many workers."""
    with tempfile.TemporaryDirectory(prefix="gateway-bench-", ignore_cleanup_errors=True) as name:
        environment = os.environ | {
            "STOCK_FOLDER": name,
            "DJANGO_SETTINGS_MODULE": "benchmarks.stock.settings",
        }
        if workers is not None:
            environment["STOCK_WORKERS"] = str(workers)
        django = [sys.executable, "-m", "django"]
        _run([*django, "migrate", "--verbosity", "0"], environment)
        system = System(
            "Django-Q2" if workers is None else f"Django-Q2, {workers} workers",
            Path(name),
            [*django, "qcluster"],
            "benchmarks.stock.load",
            environment,
        )
        yield from _kept(system, started)


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The URL of a fresh database, dropped afterwards; "" where no server answers."""
    server = os.environ.get("TEST_DATABASE_URL") or LOCAL_POSTGRES
    name = f"gateway_bench_{os.getpid()}"
    try:
        connection = psycopg.connect(server, autocommit=True, connect_timeout=2)
    except psycopg.OperationalError:
        yield ""
        return
    with connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{server.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _kept(system: System, started: bool) -> Iterator[System]:
    try:
        if started:
            system.start()
            system.load("no_op", 10)  # everything is imported and connected once this is done
            time.sleep(0.5)
        yield system
    except subprocess.SubprocessError:
        sys.stderr.write(system.log())
        raise
    finally:
        system.stop()


def _run(argv: list[str], environment: dict[str, str]) -> None:
    subprocess.run(argv, cwd=ROOT, env=environment, check=True, stderr=subprocess.PIPE)
