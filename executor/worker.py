"""What a Django-Q2 worker process runs: it claims due tasks and hosts their attempts.

Three threads beside Django-Q2's own: the event loop (agents and child processes), the journal (the only
writer of what agents say) and the control thread (leases, cancellations, the drain). They start in the
forked worker, and none is a daemon: the process ends when its work has.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
import threading
import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone

from executor import doorbell, kernel, leases, pulse
from executor.journal import Journal
from executor.leases import Claim, WorkerIdentity
from executor.models import Worker
from executor.run import Run, Runner, Stop
from executor.runners import process_tree
from executor.runners.child_runner import run_in_child
from executor.runners.loop_runner import run_on_loop
from lifecycle.entrypoint import import_path
from lifecycle.models import AgentVersion

if TYPE_CHECKING:
    from uuid import UUID

logger = logging.getLogger(__name__)
Mode = AgentVersion.Mode

CLAIM_BATCH = 50
BEAT_SECONDS = 3.0
CLOSE_SECONDS = 5.0
"""How long releasing and writing the last words may take after the drain."""
LAG_WARNING_SECONDS = 5.0
LAG_LIMIT_SECONDS = 15.0
CLAIM_BUSY_TIMEOUT_MS = 1_000
"""A claim gives way to a database that is locked for longer: the next look comes within a second."""

RUNNERS: dict[str, Runner] = {Mode.ASYNC: run_on_loop, Mode.CHILD: run_in_child}


class WorkerProcess:
    """Everything that runs in this process."""

    current: WorkerProcess | None = None

    def __init__(self) -> None:
        host = kernel.host_id()
        name = f"{host.split('/')[0]}-{os.getpid()}-{secrets.token_hex(2)}"
        self.identity = WorkerIdentity(name, host, os.getpid())
        self.runs: dict[UUID, Run] = {}
        self._lock = threading.Lock()
        self._journal = Journal(self._lost)
        self._loop = asyncio.new_event_loop()
        self._lag = LoopLag(self._loop)
        self._renewed_at = time.monotonic()
        self._beat_at = 0.0
        sys.path += [entry for entry in import_path() if entry not in sys.path]
        threading.Thread(target=self._run_loop, name="loop").start()
        threading.Thread(target=self._control, name="control").start()

    @classmethod
    def start(cls) -> WorkerProcess:
        """This process's, started the first time it is asked for."""
        if cls.current is None:
            cls.current = cls()
        return cls.current

    def claim_due(self) -> int:
        """Claim what is due, as far as there is room, and start it; returns how many were started."""
        if pulse.shared.draining:
            return 0
        claims = leases.claim(self.identity, self._free(), limit=CLAIM_BATCH)
        for claim in claims:
            self._start(claim)
        if len(claims) == CLAIM_BATCH:
            doorbell.ring("tasks")  # there may be more: this process or another one takes them
        return len(claims)

    def _free(self) -> dict[str, int]:
        with self._lock:
            children = sum(run.claim.mode == Mode.CHILD for run in self.runs.values())
            return {
                Mode.ASYNC: settings.GATEWAY_MAX_RUNS_PER_WORKER - (len(self.runs) - children),
                Mode.CHILD: settings.GATEWAY_MAX_CHILDREN_PER_WORKER - children,
            }

    def _start(self, claim: Claim) -> None:
        run = Run(claim, self._journal, self.identity.name)
        with self._lock:
            self.runs[claim.token] = run
        asyncio.run_coroutine_threadsafe(self._perform(run), self._loop)

    async def _perform(self, run: Run) -> None:
        try:
            await run.perform(RUNNERS[run.claim.mode])
        except Exception:
            logger.exception(
                "Task %s attempt %s: its end could not be written.", run.claim.task_id, run.claim.attempt
            )
        finally:
            with self._lock:
                self.runs.pop(run.claim.token, None)
            if not self.runs and pulse.shared.draining:
                doorbell.ring_sockets("control")

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    # --- the control thread ---------------------------------------------------

    def _control(self) -> None:
        listener = doorbell.listen("control")
        try:
            while not self._may_end():
                self._look_after_runs()
                listener.wait(self._until_next_look())
            self._close()
        except BaseException:
            # Without this thread nothing renews leases or hears a cancel: give everything back by dying.
            logger.exception(
                "The control thread of %s failed; its tasks go to another worker.", self.identity.name
            )
            os._exit(1)
        finally:
            listener.close()
            connection.close()

    def _until_next_look(self) -> float:
        return min(1.0, settings.GATEWAY_LEASE_SECONDS / 6)

    def _may_end(self) -> bool:
        if threading.main_thread().is_alive() and not pulse.shared.draining:
            return False
        if not pulse.shared.draining:  # Django-Q2 let this process go by itself
            pulse.shared.drain(settings.GATEWAY_DRAIN_SECONDS)
        return not self.runs or pulse.shared.drain_left == 0

    def _look_after_runs(self) -> None:
        self._watch_loop()
        tokens = list(self.runs)
        try:
            if time.monotonic() - self._renewed_at >= settings.GATEWAY_LEASE_SECONDS / 3:
                renewal = leases.renew(tokens)
                self._renewed_at = time.monotonic()
                for token in renewal.lost:
                    self._lost(token)
            if tokens:
                for token in leases.cancelling() & set(tokens):
                    self._stop(token, Stop.CANCEL)
            self._beat()
        except DatabaseError as exc:
            logger.warning("%s cannot reach the database: %s", self.identity.name, exc)
            close_old_connections()
            self._give_up_leases()

    def _beat(self) -> None:
        if time.monotonic() - self._beat_at < BEAT_SECONDS:
            return
        self._beat_at = time.monotonic()
        Worker.objects.update_or_create(
            name=self.identity.name,
            defaults={
                "kind": Worker.Kind.RUNNER,
                "host": self.identity.host,
                "pid": self.identity.pid,
                "seen_at": timezone.now(),
                "slots": settings.GATEWAY_MAX_RUNS_PER_WORKER,
                "running": len(self.runs),
            },
        )

    def _give_up_leases(self) -> None:
        # Nobody may work longer than its lease can have lasted: another worker may have begun by now.
        if time.monotonic() - self._renewed_at > settings.GATEWAY_LEASE_SECONDS:
            for token in list(self.runs):
                self._lost(token)

    def _lost(self, token: UUID) -> None:
        self._stop(token, Stop.LOST)

    def _stop(self, token: UUID, reason: Stop) -> None:
        run = self.runs.get(token)
        if run is not None:
            self._loop.call_soon_threadsafe(run.stop, reason)

    def _watch_loop(self) -> None:
        lag = self._lag.measure()
        if lag < LAG_WARNING_SECONDS:
            return
        offender = self._offender()
        name = offender.claim.task_id if offender else "an unknown task"
        logger.warning("The event loop has been blocked for %.0f s by %s.", lag, name)
        if lag > LAG_LIMIT_SECONDS or (
            offender is not None and offender.out_of_time and lag > LAG_WARNING_SECONDS
        ):
            self._abandon_loop(offender)

    def _offender(self) -> Run | None:
        blocked = asyncio.current_task(self._loop)
        return next((run for run in self.runs.values() if run.body is blocked), None)

    def _abandon_loop(self, offender: Run | None) -> None:
        """A blocked loop cannot be mended: fail the offender, give the others back, replace the process."""
        for run in list(self.runs.values()):
            if run.claim.mode == Mode.CHILD:
                process_tree.kill_marked(str(run.claim.task_id), run.claim.attempt)
        endings = [
            run.ending_for(Stop.TIMEOUT if run is offender else Stop.RELEASE)
            for run in list(self.runs.values())
        ]
        for stored in [self._journal.end(ending) for ending in endings]:
            stored.result(timeout=CLOSE_SECONDS)
        os._exit(1)

    def _close(self) -> None:
        for token in list(self.runs):
            self._stop(token, Stop.RELEASE)
        give_up_at = time.monotonic() + CLOSE_SECONDS
        while self.runs and time.monotonic() < give_up_at:
            leases.renew(list(self.runs))
            time.sleep(0.02)
        self._journal.close(CLOSE_SECONDS)
        Worker.objects.filter(name=self.identity.name).delete()
        self._loop.call_soon_threadsafe(self._loop.stop)


class LoopLag:
    """How long the loop has not answered; measured from outside it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asked_at: float | None = None

    def measure(self) -> float:
        """Seconds for which a question has waited on the loop; asks the next one when it was answered."""
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            self._loop.call_soon_threadsafe(self._answer)
            return 0.0
        return time.monotonic() - self._asked_at

    def _answer(self) -> None:
        self._asked_at = None


def drain() -> int:
    """Claim and start what is due: the one job that Django-Q2 is given. Being called twice is harmless."""
    try:
        _give_way_to_locks()
        return WorkerProcess.start().claim_due()
    except DatabaseError as exc:
        logger.warning("Nothing could be claimed: %s", exc)
        close_old_connections()
        return 0
    except Exception:
        # An exception here would make Django-Q2 write to its own tables; there is nothing to retry either.
        logger.exception("Claiming failed.")
        return 0


def canary() -> int:
    """Do nothing, by the same way as everything else: the watchdog sees that the way is free."""
    return 0


def _give_way_to_locks() -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {CLAIM_BUSY_TIMEOUT_MS}")
