"""A task's log: appending in batches under the attempts' fences, and reading from a cursor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Case, F, Value, When
from typing_extensions import TypedDict

from executor.models import Task, TaskEvent
from lifecycle.times import iso


class EventDict(TypedDict):
    """An event as callers see it."""

    seq: int
    type: str
    data: dict[str, Any]
    attempt: int
    at: str


@dataclass(frozen=True)
class Line:
    """One event to append."""

    type: str
    data: dict[str, Any]
    at: datetime


@dataclass(frozen=True)
class Owner:
    """The task that a live token owns."""

    task_id: UUID
    trace_id: UUID
    attempt: int


def append(lines: Mapping[UUID, Sequence[Line]]) -> dict[UUID, Owner]:
    """Append lines to the logs of the tasks that the tokens own, in the caller's transaction.

    The numbers are taken under the tasks' rows, so that each log is gap-free. Returns the owner of each
    token that still stands; a token that is missing lost its lease, and its lines were not written.
    """
    counts = {token: len(some) for token, some in lines.items()}
    grows = Case(*[When(lease_token=token, then=Value(count)) for token, count in counts.items()])
    Task.objects.filter(lease_token__in=counts).update(last_seq=F("last_seq") + grows)
    owned = Task.objects.filter(lease_token__in=counts).values_list(
        "lease_token", "pk", "trace_id", "attempt", "last_seq"
    )
    owners: dict[UUID, Owner] = {}
    rows: list[TaskEvent] = []
    for token, task_id, trace_id, attempt, last_seq in owned:
        assert token is not None  # noqa: S101 - it was asked for
        owners[token] = Owner(task_id, trace_id, attempt)
        first = last_seq - counts[token] + 1
        rows += [
            TaskEvent(
                task_id=task_id,
                seq=first + index,
                type=line.type,
                data=line.data,
                attempt=attempt,
                at=line.at,
            )
            for index, line in enumerate(lines[token])
        ]
    TaskEvent.objects.bulk_create(rows, batch_size=500)
    return owners


def after(task_id: UUID, seq: int, limit: int) -> list[EventDict]:
    """The events of a task with a number above ``seq``, in order, at most ``limit``."""
    rows = TaskEvent.objects.filter(task_id=task_id, seq__gt=seq).order_by("seq")[:limit]
    return as_dicts(rows)


def as_dicts(rows: Iterable[TaskEvent]) -> list[EventDict]:
    """Events as callers see them."""
    return [
        {"seq": row.seq, "type": row.type, "data": row.data, "attempt": row.attempt, "at": iso(row.at)}
        for row in rows
    ]
