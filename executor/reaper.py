"""Finds attempts whose worker is gone, and gives their tasks to another."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from django.db import transaction

from executor import database_clock, events, kernel, leases, span_writer
from executor.crash_points import crash_point
from executor.event_moment import event_moment
from executor.models import Attempt, Task
from executor.runners import process_tree
from lifecycle.ids import as_uuid

if TYPE_CHECKING:
    from collections.abc import Container
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
        if not ripe and not dead:
            return 0
        carried = process_tree.all_marked()  # once for all: a worker may have died with a thousand attempts
        ended = [self._end(one, "its lease ran out", carried) for one in ripe]
        ended += [self._end(one, f"process {one.pid} of its worker ended", carried) for one in dead]
        return sum(ended)

    def sweep(self) -> int:
        """Kill what outlived its attempt on this machine; returns how many processes were killed.

        A worker clears up behind its runs itself. But it may have died first, and somebody else have ended
        its attempt (a cancellation, a clock on another machine). Tasks of other installations are not ours.
        """
        carried = process_tree.all_marked()
        ids = [key for key in (as_uuid(task_id) for task_id, _ in carried) if key is not None]
        over = Attempt.objects.filter(task__in=ids, ended_at__isnull=False) if ids else Attempt.objects.none()
        killed = 0
        for task_id, number in over.values_list("task_id", "number"):
            if (str(task_id), str(number)) in carried:
                logger.warning("Processes of task %s attempt %s outlived it; killing them.", task_id, number)
                killed += process_tree.kill_marked(str(task_id), number)
        return killed

    def _of_dead_processes(self) -> list[Attempt]:
        # On this machine there is no need to wait for the lease: a pid that is gone does not come back.
        rows = Attempt.objects.filter(ended_at=None, host=self._host, pid__isnull=False)
        pids = set(rows.values_list("pid", flat=True).distinct())
        gone = {pid for pid in pids if pid is not None and not kernel.is_alive(pid)}
        return list(rows.filter(pid__in=gone)[:500]) if gone else []

    def _end(self, attempt: Attempt, why: str, carried: Container[tuple[str, str]]) -> bool:
        if attempt.host == self._host and (str(attempt.task_id), str(attempt.number)) in carried:
            process_tree.kill_marked(str(attempt.task_id), attempt.number)
        crash_point("before_reap")
        with transaction.atomic():
            # Whoever holds the row is writing this very end, or froze while it did: waiting for it would hold
            # up all the others. It is looked at again in the next round.
            owned = Task.objects.filter(pk=attempt.task_id, lease_token=attempt.token)
            if not owned.select_for_update(skip_locked=True).values_list("pk").first():
                return False
            still = Attempt.objects.filter(pk=attempt.pk, ended_at=None, lease_until=attempt.lease_until)
            if not still.select_for_update().exists():
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
