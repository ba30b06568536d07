"""Finds attempts whose worker is gone, and gives their tasks to another."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING

import psutil
from django.db import transaction

from executor import database_clock, events, kernel, leases, span_writer
from executor.crash_points import crash_point
from executor.event_moment import event_moment
from executor.models import Attempt
from executor.runners import process_tree

if TYPE_CHECKING:
    from uuid import UUID

logger = logging.getLogger(__name__)

SIGHTS = 2
"""How often an expired lease must be seen before it is taken: a machine that slept, or a clock that
jumped, makes every lease look expired once, and its owner renews it before the second look."""


class Reaper:
    """Ends the attempts of dead workers. Any number may run at once: each end is fenced."""

    def __init__(self) -> None:
        self._seen: dict[UUID, int] = {}
        self._host = kernel.host_id()

    def reap(self) -> int:
        """Look once; returns how many attempts were ended."""
        moment = database_clock.now()
        suspects = leases.expired(moment)
        self._seen = {one.token: self._seen.get(one.token, 0) + 1 for one in suspects}
        ripe = [one for one in suspects if self._seen[one.token] >= SIGHTS]
        dead = [one for one in self._of_dead_processes() if one.token not in {each.token for each in ripe}]
        ended = [self._end(one, "its lease ran out") for one in ripe]
        ended += [self._end(one, f"process {one.pid} of its worker ended") for one in dead]
        return sum(ended)

    def _of_dead_processes(self) -> list[Attempt]:
        # On this machine there is no need to wait for the lease: a pid that is gone does not come back.
        rows = Attempt.objects.filter(ended_at=None, host=self._host, pid__isnull=False)
        pids = set(rows.values_list("pid", flat=True).distinct())
        gone = {pid for pid in pids if pid is not None and not _is_alive(pid)}
        return list(rows.filter(pid__in=gone)[:500]) if gone else []

    def _end(self, attempt: Attempt, why: str) -> bool:
        if attempt.host == self._host:
            process_tree.kill_marked(str(attempt.task_id), attempt.number)
        crash_point("before_reap")
        with transaction.atomic():
            still = Attempt.objects.select_for_update().filter(
                pk=attempt.pk, ended_at=None, lease_until=attempt.lease_until
            )
            if not still.exists():
                return False
            self._interrupt_steps(attempt)
            won = leases.finish([leases.lost_ending(attempt, why)])[0]
        if won:
            logger.warning("Task %s attempt %s was lost: %s.", attempt.task_id, attempt.number, why)
        return won

    def _interrupt_steps(self, attempt: Attempt) -> None:
        closed = span_writer.interrupt(attempt.task_id)
        moment = event_moment({"at": time.time()})
        lines = [
            events.Line("step.end", {"id": span_id, "status": "interrupted", "usage": {}}, moment)
            for span_id in closed
        ]
        if lines:
            events.append({attempt.token: lines})


def _is_alive(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False
