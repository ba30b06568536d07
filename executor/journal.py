"""One writer thread a process: agents' events and the ends of attempts, in order, in batches.

One writer, because a second one on SQLite adds nothing but waiting (measured). Text waits up to 50 ms for
more of it; whatever somebody waits for is written at once. While the database cannot be written, the
journal keeps what it has and tries again: the lease decides whether it is still wanted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import (
    InterfaceError,
    InternalError,
    OperationalError,
    close_old_connections,
    connection,
    transaction,
)

from executor import agent_events, leases
from gateway.errors import LeaseLost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from executor.leases import Ending

logger = logging.getLogger(__name__)

GATHER_SECONDS = 0.05
BATCH = 2_000
FULL_BYTES = 64 * 1024 * 1024
"""Text that may wait in memory while the database cannot be written."""
RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Said:
    """An event of the attempt that owns ``token``; ``stored`` is told when somebody waits for it."""

    token: UUID
    event: dict[str, Any]
    stored: Future[None] | None = None


@dataclass(frozen=True)
class Ended:
    """The end of an attempt; ``stored`` tells whether its lease still stood."""

    ending: Ending
    stored: Future[bool]


Entry = Said | Ended


class Journal:
    """Takes entries from any thread and writes them in their order."""

    def __init__(self, on_lost: Callable[[UUID], None]) -> None:
        """``on_lost`` is called, in the writer's thread, with the token of an attempt that lost its lease."""
        self._on_lost = on_lost
        self._entries: deque[Entry] = deque()
        self._wake = threading.Condition()
        self._urgent = False
        self._closed = False
        self._waiting_bytes = 0
        self._thread = threading.Thread(target=self._write_all, name="journal")
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether so much waits that text and log lines have to be dropped."""
        return self._waiting_bytes > FULL_BYTES

    def say(self, token: UUID, event: dict[str, Any]) -> None:
        """Append an event without waiting."""
        self._put(Said(token, event), urgent=False)

    def store(self, token: UUID, event: dict[str, Any]) -> Future[None]:
        """Append an event; the future is done once it is durable, or fails with ``LeaseLost``."""
        stored: Future[None] = _wanted()
        self._put(Said(token, event, stored), urgent=True)
        return stored

    def end(self, ending: Ending) -> Future[bool]:
        """End an attempt after everything it said; the future tells whether its lease still stood."""
        stored: Future[bool] = _wanted()
        self._put(Ended(ending, stored), urgent=True)
        return stored

    def close(self, timeout: float) -> bool:
        """Write what is left and stop; False if that took longer than ``timeout`` seconds."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _put(self, entry: Entry, *, urgent: bool) -> None:
        with self._wake:
            self._entries.append(entry)
            self._waiting_bytes += _bytes_of(entry)
            if urgent or len(self._entries) == 1 or len(self._entries) >= BATCH:
                self._urgent = self._urgent or urgent or len(self._entries) >= BATCH
                self._wake.notify()

    def _write_all(self) -> None:
        try:
            while batch := self._gather():
                self._write_until_done(batch)
        finally:
            connection.close()

    def _gather(self) -> list[Entry]:
        with self._wake:
            self._wake.wait_for(lambda: self._entries or self._closed)
            self._wake.wait_for(lambda: self._urgent or self._closed, timeout=GATHER_SECONDS)
            batch = [self._entries.popleft() for _ in range(min(BATCH, len(self._entries)))]
            self._waiting_bytes -= sum(_bytes_of(entry) for entry in batch)
            self._urgent = len(self._entries) >= BATCH
            return batch

    def _write_until_done(self, batch: Sequence[Entry]) -> None:
        for attempt in range(1_000_000):
            try:
                self._write(batch)
                return
            except (OperationalError, InterfaceError, InternalError) as exc:
                pause = RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)]
                logger.warning("The database cannot be written, trying again in %s s: %s", pause, exc)
                close_old_connections()
                time.sleep(pause)
            except Exception as exc:
                if len(batch) > 1:
                    logger.exception(
                        "A batch of %s entries cannot be written; writing one by one.", len(batch)
                    )
                    for entry in batch:
                        self._write_until_done([entry])
                else:
                    self._refuse(batch[0], exc)
                return

    def _write(self, batch: Sequence[Entry]) -> None:
        said: dict[UUID, list[dict[str, Any]]] = {}
        ended = [entry for entry in batch if isinstance(entry, Ended)]
        for entry in batch:
            if isinstance(entry, Said):
                said.setdefault(entry.token, []).append(entry.event)
        with transaction.atomic():
            lost = agent_events.record(said) if said else set()
            won = leases.finish([entry.ending for entry in ended])
        for entry, done in zip(ended, won, strict=True):
            entry.stored.set_result(done)
        for entry in batch:
            if isinstance(entry, Said) and entry.stored is not None:
                if entry.token in lost:
                    entry.stored.set_exception(LeaseLost("This attempt no longer owns its task."))
                else:
                    entry.stored.set_result(None)
        for token in lost:
            self._on_lost(token)

    def _refuse(self, entry: Entry, problem: Exception) -> None:
        # Something in this one entry cannot be stored: it must not hold up the others.
        if isinstance(entry, Ended):
            logger.error("The end of task %s cannot be stored.", entry.ending.task_id, exc_info=problem)
            entry.stored.set_exception(ValueError("The result cannot be stored."))
            return
        logger.error("An event of type %r cannot be stored.", entry.event.get("type"), exc_info=problem)
        if entry.stored is not None:
            entry.stored.set_exception(ValueError("This event cannot be stored."))


def _wanted() -> Future[Any]:
    # Marked as begun: an entry is written whoever stops waiting for it, so its future cannot be cancelled,
    # and telling the outcome cannot fail in the middle of a batch that is written already.
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future


def _bytes_of(entry: Entry) -> int:
    if isinstance(entry, Ended):
        return 0
    text = entry.event.get("text") or entry.event.get("message") or ""
    return len(text) if isinstance(text, str) else 0
