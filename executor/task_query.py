"""Which tasks a list or a bulk verb means."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet
from typing_extensions import TypedDict

from executor.models import Task
from executor.states import TaskStatus
from lifecycle import filters, trace_manager
from lifecycle.actors import Actor
from lifecycle.input_rules import refuse


class TaskFilters(TypedDict, total=False):
    """The filters of a list; several values of one mean *or*, and ``q`` searches ids and descriptions."""

    trace_id: UUID | str | None
    workspace_id: str | Sequence[str] | None
    agent_type: str | Sequence[str] | None
    status: str | Sequence[str] | None
    labels: Sequence[tuple[str, str]]
    q: str | None
    created_after: datetime | None
    created_before: datetime | None


def matching(actor: Actor, wanted: TaskFilters) -> QuerySet[Task]:
    """The tasks that the actor may see and that match; raises for a trace or status that is none."""
    rows: QuerySet[Task] = Task.objects.for_actor(actor)
    if (trace_id := wanted.get("trace_id")) is not None:
        rows = rows.filter(trace=trace_manager.find(trace_id, actor))
    rows = filters.named(rows, "workspace__id", wanted.get("workspace_id"))
    rows = filters.named(rows, "agent_type__name", wanted.get("agent_type"))
    rows = filters.with_labels(rows, wanted.get("labels", ()))
    rows = filters.searched(rows, wanted.get("q"), "description")
    rows = filters.created_between(rows, wanted.get("created_after"), wanted.get("created_before"))
    if (status := wanted.get("status")) is not None:
        rows = rows.filter(status__in=statuses(status))
    return rows


def statuses(status: str | Sequence[str]) -> Sequence[str]:
    """The statuses that are meant; raise ``InvalidInput`` for one that is none."""
    wanted = [status] if isinstance(status, str) else list(status)
    unknown = sorted(set(wanted) - set(TaskStatus.values))
    if unknown:
        raise refuse("status", f"{unknown[0]!r} is none.", f"Use {', '.join(TaskStatus.values)}.")
    return wanted
