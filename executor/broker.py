"""Django-Q2's broker for which the Task table is the queue.

Django-Q2's pusher asks ``dequeue()`` for messages. There are only two, both made up on the spot: *drain*
("claim what is due", handed out while something is) and *canary* (its round trip proves that pusher,
workers and monitor live). Nothing is enqueued, so nothing can be lost, doubled or left over.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections
from django_q.brokers import Broker
from django_q.signing import SignedPackage

from executor import database_clock, doorbell, pulse
from executor.models import Task

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""A look without a ring: what a lost wake-up can cost."""
DRAIN_GAP_SECONDS = 0.01
"""Between two drains: in a burst each claims several tasks then; a claim costs more than a task in it."""
CANARY = "canary"
DRAIN = "drain"

Message = tuple[str, str]


class TaskTableBroker(Broker):
    """Hands Django-Q2 a drain while tasks are due, and a canary every few seconds."""

    _listener: doorbell.Listener | None = None
    _look_at = 0.0
    _drained_at = 0.0
    _canary_at = 0.0

    def dequeue(self) -> list[Message]:
        """Wait for a ring or the next due time, and return the messages that call for work; may be none."""
        if self._listener is None:
            self._listener = doorbell.listen("tasks")  # before the first look, or a ring could fall between
        elif self._listener.wait(self._until_next_look()):
            self._look_at = self._drained_at + DRAIN_GAP_SECONDS
        if pulse.shared.draining:
            self._look_at = time.monotonic() + LOOK_SECONDS
            return []
        return [*self._canary(), *self._drain()]

    def acknowledge(self, task_id: str) -> None:
        """Called by the monitor when a message's round trip is over."""
        if task_id == CANARY:
            pulse.shared.beat()

    def ping(self) -> bool:
        return True

    def info(self) -> str:
        return "Gateway's Task table"

    def queue_size(self) -> int:
        """Tasks that are due."""
        return Task.objects.pending().filter(run_at__lte=database_clock.now()).count()

    def lock_size(self) -> int:
        return 0

    def set_stat(self, key: str, value: str, timeout: int) -> None:
        """Django-Q2's own statistics are not kept: the Worker and Task tables tell more."""

    def get_stat(self, key: str) -> None:
        return None

    def get_stats(self, pattern: str) -> list[Any]:
        return []

    def _until_next_look(self) -> float:
        return max(min(self._look_at, self._canary_at) - time.monotonic(), 0.0)

    def _canary(self) -> list[Message]:
        now = time.monotonic()
        if now < self._canary_at:
            return []
        self._canary_at = now + settings.GATEWAY_WATCHDOG_SECONDS / 5
        return [(CANARY, MESSAGES[CANARY])]

    def _drain(self) -> list[Message]:
        if time.monotonic() < self._look_at:
            return []
        try:
            wait = seconds_until_due()
        except DatabaseError as exc:
            # Django-Q2 would let the pusher die and come back ten seconds later.
            logger.warning("Cannot look for due tasks: %s", exc)
            close_old_connections()
            wait = LOOK_SECONDS
        self._look_at = time.monotonic() + (min(wait, LOOK_SECONDS) if wait else LOOK_SECONDS)
        if wait:
            return []
        self._drained_at = time.monotonic()
        return [(DRAIN, MESSAGES[DRAIN])]


def seconds_until_due() -> float:
    """Seconds until a pending task is due: 0 if one is, ``LOOK_SECONDS`` if none is near."""
    pending = Task.objects.pending().order_by("run_at").values_list("run_at", flat=True)
    moment = database_clock.now()
    first = pending.first()
    if first is not None and first <= moment:
        return 0.0
    if first is None or first - moment > timedelta(seconds=LOOK_SECONDS):
        return LOOK_SECONDS
    return max(float((first - moment).total_seconds()), 0.001)


def _message(name: str, function: str) -> str:
    package: dict[str, Any] = {
        "id": name,
        "name": name,
        "func": function,
        "args": (),
        "kwargs": {},
        "started": None,
    }
    signed: str = SignedPackage.dumps(package)
    return signed


MESSAGES = {
    CANARY: _message(CANARY, "executor.worker.canary"),
    DRAIN: _message(DRAIN, "executor.worker.drain"),
}
