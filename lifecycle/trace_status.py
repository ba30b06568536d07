"""What a trace's tasks make of it: its status, counts and usage, computed through ``trace.tasks``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum

from lifecycle.input_rules import refuse
from lifecycle.models import Trace

STATUSES = ("idle", "running", "waiting", "closed")
FINAL = {"completed", "failed", "cancelled"}
RUNNING = {"running", "cancelling"}


@dataclass(frozen=True)
class TraceFacts:
    """Facts of one trace at one moment."""

    status: str
    task_counts: dict[str, int]
    unfinished: int
    usage: dict[str, Any]


def facts_of(trace: Trace) -> TraceFacts:
    """Count the trace's tasks by status (one query)."""
    rows = list(
        trace.tasks.values("status")
        .annotate(
            count=Count("pk"),
            input=Sum("input_tokens"),
            output=Sum("output_tokens"),
            total=Sum("cost"),
        )
        .order_by()
    )
    counts = {row["status"]: row["count"] for row in rows}
    costs = [row["total"] for row in rows if row["total"] is not None]
    return TraceFacts(
        status=_status(trace, set(counts)),
        task_counts=counts,
        unfinished=sum(count for status, count in counts.items() if status not in FINAL),
        usage={
            "input_tokens": sum(row["input"] or 0 for row in rows),
            "output_tokens": sum(row["output"] or 0 for row in rows),
            "cost": float(sum(costs)) if costs else None,
            "currency": "USD" if costs else None,
        },
    )


def _status(trace: Trace, statuses: set[str]) -> str:
    if trace.closed_at is not None:
        return "closed"
    if statuses & RUNNING:
        return "running"
    return "waiting" if "waiting" in statuses else "idle"


def with_status(rows: QuerySet[Trace], wanted: Sequence[str]) -> QuerySet[Trace]:
    """Traces whose computed status is one of ``wanted``; raise ``InvalidInput`` for one that is none."""
    unknown = sorted(set(wanted) - set(STATUSES))
    if unknown:
        raise refuse("status", f"{unknown[0]!r} is none.", f"Use {', '.join(STATUSES)}.")
    same = Trace.objects.filter(pk=OuterRef("pk"))  # through the reverse relation: tasks are not known here
    running = Exists(same.filter(tasks__status__in=sorted(RUNNING)))
    waiting = Exists(same.filter(tasks__status="waiting"))
    conditions = {
        "closed": Q(closed_at__isnull=False),
        "running": Q(running, closed_at=None),
        "waiting": Q(waiting, closed_at=None) & ~Q(running),
        "idle": Q(closed_at=None) & ~Q(running) & ~Q(waiting),
    }
    any_of = Q()
    for status in wanted:
        any_of |= conditions[status]
    return rows.filter(any_of)
