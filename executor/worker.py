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
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection
from django.utils import timezone

from executor import doorbell, kernel, leases, pulse
from executor.crash_points import crash_point
from executor.journal import Journal
from executor.leases import Claim, WorkerIdentity
from executor.models import Worker
from executor.run import Run, Runner, Stop, owned_task, owner_of
from executor.runners import process_tree
from executor.runners.child_runner import run_in_child
from executor.runners.loop_runner import run_on_loop
from lifecycle.entrypoint import import_path
from lifecycle.models import AgentVersion

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from executor.leases import Ending

logger = logging.getLogger(__name__)
Mode = AgentVersion.Mode

CLAIM_BATCH = 50
BEAT_SECONDS = 3.0
CLOSE_SECONDS = 5.0
"""How long releasing and writing the last words may take after the drain."""
LEFT_BEHIND_SECONDS = 1.0
"""How long a worker process that has done everything waits for threads that an agent still blocks."""
READING_SECONDS = 0.2
"""More than the main thread needs to read a message of Django-Q2's queue to its end."""
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
        self._leaving = False
        self._left_at: float | None = None
        """When Django-Q2's loop in the main thread was over: from then on nothing is claimed here."""
        sys.path += [entry for entry in import_path() if entry not in sys.path]
        threading.Thread(target=self._run_loop, name="loop").start()
        self._control_thread = threading.Thread(target=self._control, name="control")
        self._control_thread.start()
        Finalize(None, self._finish, exitpriority=100)

    @classmethod
    def start(cls) -> WorkerProcess:
        """This process's, started the first time it is asked for."""
        if cls.current is None:
            cls.current = cls()
        return cls.current

    def claim_due(self) -> int:
        """Claim what is due, as far as there is room, and start it; returns how many were started."""
        if pulse.shared.draining or self._leaving:
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
        self._loop.set_task_factory(owned_task)
        self._loop.run_forever()
        self._loop.close()

    def _finish(self) -> None:
        """Hold the main thread at its end until the work is done.

        Once it is gone, Python starts no more threads for anybody: agents that look up a host name, or run
        something in a thread, would fail during the drain. What an agent still blocks when all is written
        (a thread, the loop) is left behind.
        """
        self._left_at = time.monotonic()
        doorbell.ring_sockets("control")
        self._control_thread.join()
        threading.Thread(target=_exit_soon, daemon=True).start()

    # --- the control thread ---------------------------------------------------

    def _control(self) -> None:
        listener = doorbell.listen("control")
        try:
            while not self._is_over():
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

    def _is_over(self) -> bool:
        if pulse.shared.draining:
            left = pulse.shared.drain_left
        elif self._left_at is not None:  # Django-Q2 let this process go by itself; the others go on
            left = self._left_at + settings.GATEWAY_DRAIN_SECONDS - time.monotonic()
        else:
            return False
        return left <= 0 or (self._left_at is not None and not self.runs)

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
        return owner_of(blocked) if blocked is not None else None

    def _abandon_loop(self, offender: Run | None) -> None:
        """A blocked loop cannot be mended: fail the offender, give the others back, replace the process."""
        self._leaving = True
        runs = list(self.runs.values())
        if offender is None:
            # A callback blocks it, nobody can say whose. Given back unharmed, it would block the next loop.
            suspects = [run for run in runs if run.claim.mode == Mode.ASYNC]
            self._end_from_outside(suspects, lambda run: run.lost("the event loop of its worker was blocked"))
        else:
            self._end_from_outside([offender], lambda run: run.ending_for(Stop.TIMEOUT))
        self._give_back([run for run in runs if run is not offender])
        # What was just given back rings, and the main thread may be reading Django-Q2's next message: one
        # that is read only in part spoils the queue for every other worker.
        time.sleep(READING_SECONDS)
        os._exit(1)

    def _give_back(self, runs: list[Run]) -> None:
        self._end_from_outside(runs, lambda run: run.ending_for(Stop.RELEASE))

    def _end_from_outside(self, runs: list[Run], ending_of: Callable[[Run], Ending]) -> None:
        """Write the end of runs that cannot write it themselves; what has ended already stays as it is."""
        for run in runs:
            if run.claim.mode == Mode.CHILD:
                process_tree.kill_marked(str(run.claim.task_id), run.claim.attempt)
        for stored in [self._journal.end(ending_of(run)) for run in runs]:
            stored.result(timeout=CLOSE_SECONDS)

    def _close(self) -> None:
        if self.runs:
            crash_point("before_release")
        give_up_at = time.monotonic() + CLOSE_SECONDS
        while (self.runs or self._left_at is None) and time.monotonic() < give_up_at:
            for token in list(self.runs):  # again: a claim may just have been under way
                self._stop(token, Stop.RELEASE)
            self._keep_leases()
            time.sleep(0.05)
        self._give_back(list(self.runs.values()))
        self._journal.close(CLOSE_SECONDS)
        Worker.objects.filter(name=self.identity.name).delete()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _keep_leases(self) -> None:
        if time.monotonic() - self._renewed_at < settings.GATEWAY_LEASE_SECONDS / 3:
            return
        try:
            leases.renew(list(self.runs))
            self._renewed_at = time.monotonic()
        except DatabaseError as exc:
            logger.warning("%s cannot reach the database: %s", self.identity.name, exc)
            close_old_connections()


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


def _exit_soon() -> None:
    time.sleep(LEFT_BEHIND_SECONDS)
    os._exit(0)


def _give_way_to_locks() -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {CLAIM_BUSY_TIMEOUT_MS}")
