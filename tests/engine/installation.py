"""An installation of Gateway in a temporary folder, and the real worker trees that run on it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psutil

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
DEADLINE = 30.0
"""Seconds that anything may take on a busy machine before a test gives up."""

LIMITS = {"retry_delay_seconds": 0, "grace_seconds": 1, "timeout_seconds": 300, "max_attempts": 3}
AGENTS: dict[str, dict[str, Any]] = {
    name: {}
    for name in (
        "waits", "writes_late", "chatty", "plain", "poison", "plain_poison", "stubborn", "plain_stubborn",
        "plain_looks", "blocks", "blocks_inside", "threads", "family", "fails", "late_worker",
    )
}  # fmt: skip
# The same function under another name, where other limits matter.
AGENTS["patient_stubborn"] = {"function": "plain_stubborn", "grace_seconds": 10}
AGENTS["patient_waits"] = {"function": "stubborn", "grace_seconds": 10}

FAST = {
    "GATEWAY_LEASE_SECONDS": "3",
    "GATEWAY_REAPER_SECONDS": "0.2",
    "GATEWAY_WATCHDOG_SECONDS": "8",
    "GATEWAY_DRAIN_SECONDS": "2",
}

Value = Any


def alive(process: psutil.Process) -> bool:
    """Whether it still runs: a dead process that nobody has buried yet does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


class Store(Protocol):
    """Where an installation keeps its rows."""

    name: str

    def address(self, folder: Path) -> str:
        """``DATABASE_URL``."""

    def copy_to(self, folder: Path) -> Store:
        """A store of its own for another installation, filled like this one."""

    def drop(self) -> None:
        """Remove it."""


class SqliteStore:
    """A file in the data folder, copied along with it."""

    name = "sqlite"

    def address(self, folder: Path) -> str:
        return f"sqlite:///{folder / 'gateway.sqlite3'}"

    def copy_to(self, folder: Path) -> Store:
        return self

    def drop(self) -> None:
        """It goes with the folder."""


@dataclass
class PostgresStore:
    """A database of a server; ``server`` is the address of one that may create others."""

    server: str
    database: str
    name: str = "postgresql"

    @classmethod
    def create(cls, server: str, template: str = "template0") -> PostgresStore:
        made = cls(server, f"gateway_engine_{uuid.uuid4().hex[:12]}")
        made._on_server(f'CREATE DATABASE "{made.database}" TEMPLATE "{template}"')
        return made

    def address(self, folder: Path) -> str:
        return self.server.rsplit("/", 1)[0] + "/" + self.database

    def copy_to(self, folder: Path) -> Store:
        return self.create(self.server, self.database)

    def drop(self) -> None:
        self._on_server(f'DROP DATABASE IF EXISTS "{self.database}" WITH (FORCE)')

    def _on_server(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]


class Probe:
    """The helper process of an installation (``script``); its calls are the methods."""

    def __init__(self, environment: dict[str, str], script: Path = HERE / "probe.py") -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(script)],
            env=environment | {"PYTHONPATH": str(ROOT)},
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._one_at_a_time = threading.Lock()

    def __call__(self, call: str, **arguments: Any) -> Value:
        assert self.process.stdin
        assert self.process.stdout
        with self._one_at_a_time:
            self.process.stdin.write(json.dumps({"call": call, "arguments": arguments}) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise AssertionError(f"{call}: {answer['error']}\n{answer['trace']}")
        return answer["value"]

    def close(self) -> None:
        with self.process as process:
            process.kill()


@dataclass
class Installation:
    """Data folder, configuration, database, and the trees that were started on them."""

    folder: Path
    config: Path
    store: Store
    trees: list[Tree] = field(default_factory=list)
    _probe: Probe | None = None

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "COV"))}
        kept.pop("DJANGO_SETTINGS_MODULE", None)
        return kept | FAST | {
            "GATEWAY_DATA_DIR": str(self.folder),
            "GATEWAY_CONFIG_DIR": str(self.config),
            "DATABASE_URL": self.store.address(self.folder),
        }  # fmt: skip

    @property
    def marks(self) -> Path:
        return self.folder / "marks"

    @property
    def probe(self) -> Probe:
        if self._probe is None:
            self._probe = Probe(self.environment)
        return self._probe

    def migrate(self) -> None:
        """Make the tables."""
        argv = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
        subprocess.run(argv, env=self.environment, check=True)

    def hang_up(self) -> None:
        """End the probe; the next call starts another."""
        if self._probe is not None:
            self._probe.close()
            self._probe = None

    def copy_to(self, folder: Path) -> Installation:
        """A new installation like this one, with rows of its own."""
        shutil.copytree(self.folder, folder)
        copied = Installation(folder, self.config, self.store.copy_to(folder))
        copied.marks.mkdir(exist_ok=True)
        return copied

    def start(self, *, processes: int = 2, settle: bool = True, **settings: object) -> Tree:
        """Start ``manage.py worker`` and (unless told not to) wait until its whole tree is ready."""
        tree = Tree(self, processes, {name: str(value) for name, value in settings.items()})
        self.trees.append(tree)
        if settle:
            tree.settle()
        return tree

    # --- acting -----------------------------------------------------------------------------------------

    def gate(self, name: str = "") -> Path:
        """A path that nothing lies at yet: agents that wait for it go on once it is touched."""
        return self.folder / f"gate-{name}-{uuid.uuid4().hex[:8]}"

    def submit(self, agent_type: str, gate: Path | None = None, count: int = 1, **more: Any) -> list[str]:
        """Submit tasks, each in a trace of its own; ``seconds`` and ``threads`` go to the agent."""
        given = {"marks": str(self.marks)}
        given |= {"gate": str(gate)} if gate else {}
        given |= {name: more.pop(name) for name in ("seconds",) if name in more}
        given |= {"count": more.pop("threads")} if "threads" in more else {}
        ids: list[str] = self.probe("submit", agent_type=agent_type, input=given, count=count, **more)
        return ids

    def started(self, task_id: str, attempt: int, what: str = "start") -> bool:
        """Whether the body of an attempt left its mark."""
        return (self.marks / f"{task_id}.{attempt}.{what}").exists()

    def starts(self, task_id: str | None = None) -> Counter[tuple[str, int]]:
        """How often each attempt's body began."""
        found: Counter[tuple[str, int]] = Counter()
        for path in self.marks.glob("*.start*"):
            task, number, _ = path.name.split(".", 2)
            if task_id in (None, task):
                found[task, int(number)] += 1
        return found

    def wait_started(self, ids: Sequence[str], attempt: int = 1) -> None:
        """Wait until these attempts' bodies have begun."""
        self.until(lambda: all(self.started(one, attempt) for one in ids), f"attempt {attempt} begins")

    def wait_status(self, ids: Sequence[str], status: str, reason: str | object | None = ...) -> list[int]:
        """Wait until all these tasks stand at ``status``; returns their attempts' numbers."""

        def there() -> bool:
            rows = self.probe("statuses", ids=ids)
            return all(row[0] == status and reason in (..., row[1]) for row in rows)

        self.until(there, f"{len(ids)} task(s) are {status}", lambda: self.probe("statuses", ids=ids))
        return [row[2] for row in self.probe("statuses", ids=ids)]

    def run(self, agent_type: str = "waits", count: int = 1, **more: Any) -> list[str]:
        """Submit tasks that end by themselves and wait until they are completed."""
        ids = self.submit(agent_type, count=count, **more)
        self.wait_status(ids, "completed")
        return ids

    def until(
        self,
        condition: Callable[[], object],
        what: str,
        seen: Callable[[], object] = lambda: "",
        seconds: float = DEADLINE,
    ) -> None:
        """Wait until ``condition`` holds; fail with what was seen and the trees' logs."""
        give_up_at = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > give_up_at:
                logs = "\n".join(f"--- {tree.log}\n{tree.log_tail()}" for tree in self.trees)
                raise AssertionError(f"waited {seconds:.0f} s in vain until {what}; seen: {seen()}\n{logs}")
            time.sleep(0.05)

    # --- looking ----------------------------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """Every process that carries this installation's folder in its environment, except the probe."""
        found = []
        probe = self._probe.process.pid if self._probe else None
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid not in (probe, os.getpid()) and str(self.folder) in str(process.environ()):
                    found.append(process)
        return found

    def those(self, fits: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
        """The processes that fit; one that ends while it is looked at does not."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error, OSError):
                if fits(process):
                    found.append(process)
        return found

    def violations(self) -> list[str]:
        """What the history checker says, and bodies that ran without a claim or more than once for one."""
        claims = {(task_id, number) for task_id, number in self.probe("claims")}
        return self.probe("violations") + [
            f"attempt {one[1]} of task {one[0]} began {count} times, claimed: {one in claims}"
            for one, count in self.starts().items()
            if count > 1 or one not in claims
        ]

    # --- the end ----------------------------------------------------------------------------------------

    def close(self) -> None:
        """Kill what is left and remove the rows."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        for tree in self.trees:
            tree.process.wait()
        self.hang_up()
        self.store.drop()


ROLES = ("watchdog", "clock", "cluster", "sentinel", "monitor", "pusher")


class Tree:
    """One ``manage.py worker`` and everything below it."""

    def __init__(self, installation: Installation, processes: int, settings: dict[str, str]) -> None:
        self.installation = installation
        self.size = processes
        self.log = installation.folder / f"worker-{len(installation.trees)}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                # With a parent to follow: a test run that is killed leaves no tree behind.
                [
                    *(sys.executable, str(ROOT / "manage.py"), "worker"),
                    *("--processes", str(processes), "--parent", str(os.getpid())),
                ],
                env=installation.environment | settings,
                cwd=installation.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def log_tail(self, lines: int = 60) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def settle(self) -> None:
        """Wait until every role is filled and the workers listen."""

        def settled() -> bool:
            assert self.process.poll() is None, (
                f"the worker ended: {self.process.returncode}\n{self.log_tail()}"
            )
            roles = self.roles()
            return all(roles.get(role) for role in ROLES) and len(self.workers()) == self.size

        self.installation.until(settled, "the tree is complete", lambda: self.roles())

    def roles(self) -> dict[str, psutil.Process | None]:
        """Who is who, by kinship and by threads: a worker has at least four, a monitor one."""
        found: dict[str, psutil.Process | None] = dict.fromkeys(ROLES)
        with contextlib.suppress(psutil.Error):
            found["watchdog"] = psutil.Process(self.process.pid)
            for part in found["watchdog"].children():
                below = part.children()
                if below:
                    found["cluster"], found["sentinel"] = part, below[0]
                elif part.num_threads() == 1 and part.status() != psutil.STATUS_ZOMBIE:
                    found["clock"] = part
            if found["sentinel"] is not None:
                for one in found["sentinel"].children():
                    count = one.num_threads()
                    role = {1: "monitor", 2: "pusher"}.get(count)
                    if role and one.status() != psutil.STATUS_ZOMBIE:
                        found[role] = one
        return found

    def role(self, name: str) -> psutil.Process:
        """The process that fills a role now."""
        self.settle()
        found = self.roles()[name]
        assert found is not None
        return found

    def workers(self) -> list[psutil.Process]:
        """The worker processes that have all their threads."""
        sentinel = self.roles()["sentinel"]
        found = []
        with contextlib.suppress(psutil.Error):
            for one in sentinel.children() if sentinel else []:
                if one.num_threads() >= 4:
                    found.append(one)
        return found

    def worker_of(self, task_id: str) -> psutil.Process:
        """The worker process that hosts the task's latest attempt."""
        return psutil.Process(self.installation.probe("attempts", task_id=task_id)[-1]["pid"])

    def queue_reader(self) -> psutil.Process:
        """The idle worker that holds the queue's lock while it waits for the next message."""
        found: list[psutil.Process] = []

        def look() -> bool:
            writers = set(_record_lock_holders())
            found[:] = [one for one in self.workers() if one.pid in writers]
            return len(found) == 1

        self.installation.until(look, "one idle worker holds the queue's lock", lambda: found)
        return found[0]

    def everyone(self) -> Iterator[psutil.Process]:
        """The watchdog and all its descendants."""
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.process.pid)
            yield root
            yield from root.children(recursive=True)

    def stop(self, seconds: float = DEADLINE) -> int:
        """SIGTERM to the parent; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds: float = DEADLINE) -> int:
        """Wait for the parent's end and for that of all its processes; returns its exit code."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker does not end\n{self.log_tail()}") from None
        return code

    def kill(self) -> None:
        """Kill all of it at once, the watchdog first, and wait until nothing of it is left."""
        family = list(self.everyone())
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.wait()
        psutil.wait_procs(family, timeout=DEADLINE)


def _record_lock_holders() -> Iterator[int]:
    """The pids that hold (not wait for) an exclusive POSIX record lock on a whole file."""
    for line in Path("/proc/locks").read_text().splitlines():
        parts = line.split()
        if parts[1] == "POSIX" and parts[3] == "WRITE" and parts[6:] == ["0", "EOF"]:
            yield int(parts[4])
