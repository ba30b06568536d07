"""The only writer of a task's status: compare-and-swap plus the event, in one transaction.

Every move is an UPDATE that names the states it may come from (and, for an attempt, its fencing token).
Whoever finds no row to update lost the race and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import models, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from executor import doorbell
from executor.models import Attempt, Task, TaskEvent
from executor.states import FINAL, LEASED, Reason, TaskStatus, sources_of
from gateway.errors import Conflict, LeaseLost, TaskNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

EVENT_OF = {
    TaskStatus.COMPLETED: "task.completed",
    TaskStatus.FAILED: "task.failed",
    TaskStatus.CANCELLED: "task.cancelled",
    TaskStatus.CANCELLING: "task.cancelling",
    TaskStatus.WAITING: "task.waiting",
    TaskStatus.RUNNING: "task.resumed",
}


@dataclass(frozen=True)
class Move:
    """One wanted move. ``token`` fences it to one attempt; ``sources`` narrows where it may come from."""

    task_id: UUID
    to: TaskStatus
    actor: str
    reason: Reason | None = None
    token: UUID | None = None
    sources: frozenset[TaskStatus] | None = None
    keep_reason: bool = False
    """Leave the row's reason as it is: a cancelled task keeps why it was asked to stop."""
    columns: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Start:
    """A pending task that an attempt is about to work on."""

    task_id: UUID
    token: UUID
    version_id: int


def create(task: Task) -> None:
    """Insert a new task, pending, with its first event."""
    with transaction.atomic():
        task.status = TaskStatus.PENDING
        task.last_seq = 1
        task.save(force_insert=True)
        TaskEvent.objects.create(
            task=task,
            seq=1,
            type="task.submitted",
            data={"actor": task.actor, "reason": None},
            attempt=0,
            at=task.created_at,
        )
        doorbell.ring("tasks")
        doorbell.ring("news")


def move(wanted: Move) -> None:
    """Make one move, or raise and change nothing.

    Raises ``TaskNotFound``, ``LeaseLost`` (the move was fenced and the attempt no longer owns the task) or
    ``Conflict`` with ``current_status`` (someone else got there first).
    """
    if apply([wanted])[0]:
        return
    status = Task.objects.filter(pk=wanted.task_id).values_list("status", flat=True).first()
    if status is None:
        raise TaskNotFound(f"There is no task {wanted.task_id}.")
    if wanted.token is not None:
        raise LeaseLost(f"This attempt no longer owns task {wanted.task_id}, which is {status} now.")
    raise Conflict(
        f"Task {wanted.task_id} is {status}, so it cannot become {wanted.to}.", current_status=str(status)
    )


def apply(wanted: Sequence[Move]) -> list[bool]:
    """Make moves of different tasks in one transaction; tells for each whether it won its swap."""
    with transaction.atomic():
        moment = timezone.now()
        won = [_swap(one, moment) for one in wanted]
        _record([one for one, done in zip(wanted, won, strict=True) if done], moment)
        if any(won):
            doorbell.ring("news")
            doorbell.ring("tasks")
        if any(done and one.to == TaskStatus.CANCELLING for one, done in zip(wanted, won, strict=True)):
            doorbell.ring("control")
    return won


def start(starts: Sequence[Start], *, actor: str) -> list[Task]:
    """Move pending tasks to running, each owned by its token; the caller holds the claim's lock.

    Returns the rows as they are now. Raises ``Conflict`` if one is no longer pending: nothing is changed.
    """
    ids = [one.task_id for one in starts]
    tokens = [When(pk=one.task_id, then=Value(one.token, models.UUIDField())) for one in starts]
    versions = [When(pk=one.task_id, then=Value(one.version_id)) for one in starts]
    with transaction.atomic():
        moment = timezone.now()
        moved = Task.objects.filter(pk__in=ids, status=TaskStatus.PENDING).update(
            status=TaskStatus.RUNNING,
            reason=None,
            attempt=F("attempt") + 1,
            last_seq=F("last_seq") + 1,
            started_at=Coalesce(F("started_at"), moment),
            lease_token=Case(*tokens),
            agent_version_id=Coalesce(F("agent_version_id"), Case(*versions)),
        )
        if moved != len(ids):
            raise Conflict("A task was claimed twice.", current_status="unknown")
        rows = {row.pk: row for row in Task.objects.filter(pk__in=ids).select_related("agent_version")}
        TaskEvent.objects.bulk_create(
            TaskEvent(
                task_id=key,
                seq=rows[key].last_seq,
                type="task.started",
                data={"actor": actor, "reason": None},
                attempt=rows[key].attempt,
                at=moment,
            )
            for key in ids
        )
        doorbell.ring("news")
    return [rows[key] for key in ids]


def _swap(wanted: Move, moment: datetime) -> bool:
    columns: dict[str, Any] = {"status": wanted.to, "last_seq": F("last_seq") + 1, **wanted.columns}
    if not wanted.keep_reason:
        columns["reason"] = wanted.reason
    if wanted.to not in LEASED:
        columns["lease_token"] = None
    if wanted.to in FINAL:
        columns["finished_at"] = moment
    sources = sources_of(wanted.to) & (wanted.sources or frozenset(TaskStatus))
    rows = Task.objects.filter(pk=wanted.task_id, status__in=sources)
    if wanted.token is not None:
        rows = rows.filter(lease_token=wanted.token)
    return rows.update(**columns) == 1


def _record(moves: Sequence[Move], moment: datetime) -> None:
    rows = {
        row["pk"]: row
        for row in Task.objects.filter(pk__in=[one.task_id for one in moves]).values(
            "pk", "last_seq", "attempt", "reason"
        )
    }
    TaskEvent.objects.bulk_create(
        TaskEvent(
            task_id=one.task_id,
            seq=rows[one.task_id]["last_seq"],
            type=_event_type(one),
            data={"actor": one.actor, "reason": rows[one.task_id]["reason"], **one.data},
            attempt=rows[one.task_id]["attempt"],
            at=moment,
        )
        for one in moves
    )


def _event_type(one: Move) -> str:
    if one.to == TaskStatus.PENDING:
        return "task.released" if one.reason == Reason.RELEASED else "task.retrying"
    return EVENT_OF[one.to]


def end_attempts(outcomes: dict[UUID, Attempt.Outcome]) -> None:
    """Note how attempts (by token) ended; part of the transaction that moves their tasks."""
    if not outcomes:
        return
    Attempt.objects.filter(token__in=outcomes, ended_at=None).update(
        ended_at=timezone.now(),
        outcome=Case(*[When(token=token, then=Value(str(outcome))) for token, outcome in outcomes.items()]),
    )
