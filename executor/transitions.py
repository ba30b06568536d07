"""The only writer of a task's status: compare-and-swap plus the event, in one transaction.

Every move is an UPDATE that names the states it may come from (and, for an attempt, its fencing token).
Whoever finds no row to update lost the race and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from django.db import connection, transaction
from django.utils import timezone

from executor import doorbell
from executor.models import Attempt, Task, TaskEvent
from executor.states import FINAL, LEASED, Reason, TaskStatus, sources_of
from gateway.errors import Conflict, LeaseLost, TaskNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from django.db import models

EVENT_OF = {
    TaskStatus.COMPLETED: "task.completed",
    TaskStatus.FAILED: "task.failed",
    TaskStatus.CANCELLED: "task.cancelled",
    TaskStatus.CANCELLING: "task.cancelling",
    TaskStatus.WAITING: "task.waiting",
    TaskStatus.RUNNING: "task.resumed",
}

START = """
UPDATE executor_task
SET status = 'running', reason = NULL, attempt = attempt + 1, last_seq = last_seq + 1,
    started_at = COALESCE(started_at, %s), lease_token = %s, agent_version_id = COALESCE(agent_version_id, %s)
WHERE id = %s AND status = 'pending'
"""
SWAP = "UPDATE executor_task SET last_seq = last_seq + 1, {changes} WHERE {conditions}"


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
    """Other columns to write: values, no expressions."""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Start:
    """A pending task that an attempt is about to work on."""

    task_id: UUID
    token: UUID
    version_id: int


def create(task: Task) -> None:
    """Insert a new task, pending, with its first event."""
    with transaction.atomic(savepoint=False):
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
        doorbell.ring("tasks", "news")


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
    """Make moves of different tasks in one transaction; tells for each whether it won its swap.

    Of two moves of one task the first counts.
    """
    with transaction.atomic(savepoint=False):
        moment = timezone.now()
        rows = _locked(wanted)
        winners: dict[UUID, Move] = {}
        won = []
        for one in wanted:
            wins = one.task_id not in winners and _allows(one, rows.get(one.task_id))
            if wins:
                winners[one.task_id] = one
            won.append(wins)
        _swap(list(winners.values()), moment)
        TaskEvent.objects.bulk_create(_event(one, rows[key], moment) for key, one in winners.items())
        if winners:
            doorbell.ring("news", "tasks")
        if any(one.to == TaskStatus.CANCELLING for one in winners.values()):
            doorbell.ring("control")
    return won


def start(starts: Sequence[Start], *, actor: str) -> list[Task]:
    """Move pending tasks to running, each owned by its token; the caller holds the claim's lock.

    Returns the rows as they are now. Raises ``Conflict`` if one is no longer pending: nothing is changed.
    """
    ids = [one.task_id for one in starts]
    with transaction.atomic():
        moment = timezone.now()
        at = connection.ops.adapt_datetimefield_value(moment)
        parameters = [
            [at, _prepared("lease_token", one.token), one.version_id, _prepared("id", one.task_id)]
            for one in starts
        ]
        if _update(START, parameters) != len(ids):
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


@dataclass(frozen=True)
class _Row:
    """A task as it is before its move."""

    status: str
    lease_token: UUID | None
    last_seq: int
    attempt: int
    reason: str | None


def _locked(wanted: Sequence[Move]) -> dict[UUID, _Row]:
    """The tasks that are to move. Until the end of the transaction nobody else changes them.

    SQLite's transaction (IMMEDIATE) is the only writer; PostgreSQL waits for each row here and shows it as
    it is then. So who wins is known before the one statement that moves all of them.
    """
    ids = [one.task_id for one in wanted]
    rows = Task.objects.filter(pk__in=ids).order_by("pk").select_for_update()
    columns = ("pk", "status", "lease_token", "last_seq", "attempt", "reason")
    return {key: _Row(*rest) for key, *rest in rows.values_list(*columns)}


def _allows(wanted: Move, row: _Row | None) -> bool:
    if row is None or row.status not in _sources(wanted):
        return False
    return wanted.token is None or wanted.token == row.lease_token


def _sources(wanted: Move) -> frozenset[TaskStatus]:
    return sources_of(wanted.to) & (wanted.sources or frozenset(TaskStatus))


def _swap(winners: Sequence[Move], moment: datetime) -> None:
    """Move the winners; every statement compares once more what it swaps.

    The ORM takes ten times as long for each task as the database does, so the statements are made here, and
    moves of one kind share theirs.
    """
    statements: dict[str, list[list[Any]]] = {}
    for one in winners:
        sql, parameters = _statement(one, moment)
        statements.setdefault(sql, []).append(parameters)
    if sum(_update(sql, some) for sql, some in statements.items()) != len(winners):
        raise Conflict("A task changed while it was locked.", current_status="unknown")


def _statement(wanted: Move, moment: datetime) -> tuple[str, list[Any]]:
    columns: dict[str, Any] = {"status": wanted.to, **wanted.columns}
    if not wanted.keep_reason:
        columns["reason"] = wanted.reason
    if wanted.to not in LEASED:
        columns["lease_token"] = None
    if wanted.to in FINAL:
        columns["finished_at"] = moment
    sources = sorted(_sources(wanted))
    conditions = ["id = %s", f"status IN ({', '.join(['%s'] * len(sources))})"]
    parameters = [_prepared(name, value) for name, value in columns.items()]
    parameters += [_prepared("id", wanted.task_id), *map(str, sources)]
    if wanted.token is not None:
        conditions.append("lease_token = %s")
        parameters.append(_prepared("lease_token", wanted.token))
    names = [connection.ops.quote_name(str(_field(name).column)) for name in columns]
    changes = ", ".join(f"{name} = %s" for name in names)
    return SWAP.format(changes=changes, conditions=" AND ".join(conditions)), parameters


def _prepared(name: str, value: Any) -> Any:
    return _field(name).get_db_prep_save(value, connection)


def _field(name: str) -> models.Field[Any, Any]:
    return cast("models.Field[Any, Any]", Task._meta.get_field(name))


def _update(sql: str, parameters: Sequence[Sequence[Any]]) -> int:
    """Run ``sql`` for each row of parameters; returns how many rows were changed in all."""
    with connection.cursor() as cursor:
        cursor.executemany(sql, parameters)
        return int(cursor.rowcount)


def _event(one: Move, row: _Row, moment: datetime) -> TaskEvent:
    reason = row.reason if one.keep_reason else one.reason
    return TaskEvent(
        task_id=one.task_id,
        seq=row.last_seq + 1,
        type=_event_type(one),
        data={"actor": one.actor, "reason": reason, **one.data},
        attempt=row.attempt,
        at=moment,
    )


def _event_type(one: Move) -> str:
    if one.to == TaskStatus.PENDING:
        return "task.released" if one.reason == Reason.RELEASED else "task.retrying"
    return EVENT_OF[one.to]


def end_attempts(outcomes: dict[UUID, Attempt.Outcome]) -> None:
    """Note how attempts (by token) ended; part of the transaction that moves their tasks."""
    now = timezone.now()
    for outcome in sorted(set(outcomes.values())):
        tokens = [token for token, its in outcomes.items() if its == outcome]
        Attempt.objects.filter(token__in=tokens, ended_at=None).update(ended_at=now, outcome=outcome)
