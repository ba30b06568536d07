"""How a task is cancelled, in whatever state it is."""

from __future__ import annotations

import contextlib
from typing import Any

from django.db import transaction
from django.utils import timezone

from executor import database_clock, kernel, leases, transitions
from executor.models import Attempt, Task
from executor.states import FINAL, Reason, TaskStatus
from executor.transitions import Move
from gateway.errors import Conflict, LeaseLost


def cancel(task: Task, actor: str, reason: Reason, note: str) -> None:
    """Cancel by whichever way the task's present state offers; a final task stays as it is."""
    data = {"note": note} if note else {}
    common: dict[str, Any] = {"task_id": task.pk, "actor": actor, "reason": reason, "data": data}
    for _ in range(10):  # the state may change between looking and swapping; each round looks again
        task.refresh_from_db(fields=["status", "lease_token", "attempt"])
        if task.status in FINAL or task.status == TaskStatus.CANCELLING:
            return
        if task.status == TaskStatus.PENDING:
            wanted = Move(to=TaskStatus.CANCELLED, sources=frozenset({TaskStatus.PENDING}), **common)
        else:
            asked_at = {"cancel_requested_at": timezone.now()}
            wanted = Move(to=TaskStatus.CANCELLING, token=task.lease_token, columns=asked_at, **common)
        with contextlib.suppress(Conflict, LeaseLost), transaction.atomic():
            transitions.move(wanted)
            _end_if_dead(task, actor)
            return
    raise Conflict(f"Task {task.pk} keeps changing.", hint="Try again.", current_status=str(task.status))


def _end_if_dead(task: Task, actor: str) -> None:
    """If nobody is left to confirm the cancellation, confirm it here."""
    if task.lease_token is None:
        return
    live = Attempt.objects.filter(token=task.lease_token, ended_at=None).first()
    if live is not None and _is_dead(live):
        leases.finish([leases.Ending(task.lease_token, task.pk, Attempt.Outcome.CANCELLED, actor)])


def _is_dead(live: Attempt) -> bool:
    if live.host == kernel.host_id() and live.pid is not None and not kernel.is_alive(live.pid):
        return True
    return live.lease_until < database_clock.now()
