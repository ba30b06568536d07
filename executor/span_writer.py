"""Writes agents' steps as spans, each change under the trace's next change number."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import F
from django.utils import timezone

from executor.agent_output import capped, clean_text
from executor.event_moment import event_moment
from executor.events import Owner
from lifecycle.models import Span, Trace

if TYPE_CHECKING:
    from uuid import UUID

RawEvent = dict[str, Any]
Share = tuple[Owner, Sequence[RawEvent]]


def kind_of(event: RawEvent) -> str:
    """The step's kind; one that is not known is a chain."""
    kind = event.get("kind")
    return kind if kind in Span.Kind.values else Span.Kind.CHAIN


def status_of(event: RawEvent) -> str:
    """How the step ended; what is not known is ok."""
    status = event.get("status")
    return status if status in (Span.Status.ERROR, Span.Status.INTERRUPTED) else Span.Status.OK


def usage_of(event: RawEvent) -> dict[str, Any]:
    """What the step says it used."""
    usage = event.get("usage")
    return usage if isinstance(usage, dict) else {}


def lock_traces(tokens: Collection[UUID]) -> None:
    """Lock the traces of these attempts, before anything locks their tasks.

    Submitting locks a trace first and then, to interrupt, its task: whoever took them the other way round
    would end in a deadlock on PostgreSQL. SQLite has one writer anyway.
    """
    if tokens and connection.features.has_select_for_update:
        traces = Trace.objects.filter(tasks__lease_token__in=tokens).order_by("pk")
        list(traces.select_for_update(of=("self",), no_key=True).values_list("pk"))


def write(shares: Mapping[UUID, Share]) -> None:
    """Write the step events of these tasks, in the caller's transaction."""
    by_trace: dict[UUID, list[Share]] = {}
    for owner, some in shares.values():
        if some:
            by_trace.setdefault(owner.trace_id, []).append((owner, some))
    for trace_id, some_shares in by_trace.items():
        change = _next_change(trace_id, sum(len(some) for _, some in some_shares))
        new: dict[str, Span] = {}
        for owner, some in some_shares:
            for event in some:
                _apply(trace_id, owner, event, change, new)
                change += 1
        Span.objects.bulk_create(new.values(), ignore_conflicts=True)


def interrupt(task_id: UUID) -> list[str]:
    """Close the open spans of a task whose attempt ended; returns their ids."""
    closed = []
    for span in Span.objects.filter(task_id=task_id, status=Span.Status.RUNNING):
        span.status = Span.Status.INTERRUPTED
        span.ended_at = timezone.now()
        span.change = _next_change(span.trace_id, 1)
        span.save(update_fields=["status", "ended_at", "change"])
        closed.append(span.span_id)
    return closed


def _next_change(trace_id: UUID, count: int) -> int:
    Trace.objects.filter(pk=trace_id).update(last_change=F("last_change") + count)
    last: int = Trace.objects.values_list("last_change", flat=True).get(pk=trace_id)
    return last - count + 1


def _apply(trace_id: UUID, owner: Owner, event: RawEvent, change: int, new: dict[str, Span]) -> None:
    span_id = clean_text(event.get("id", ""), 16)
    if event["type"] == "step.start":
        new[span_id] = Span(
            trace_id=trace_id,
            span_id=span_id,
            parent_span_id=clean_text(event.get("parent") or "", 16),
            task_id=owner.task_id,
            attempt=owner.attempt,
            kind=kind_of(event),
            name=clean_text(event.get("name", ""), 200),
            started_at=event_moment(event),
            input=capped(event.get("input")),
            change=change,
        )
        return
    usage = usage_of(event)
    columns = {
        "status": status_of(event),
        "ended_at": event_moment(event),
        "output": capped(event.get("output")),
        "usage": capped(usage),
        "model": clean_text(usage.get("model") or "", 200),
        "error": clean_text(event.get("error") or "", 4000),
        "change": change,
    }
    if span_id in new:
        for name, value in columns.items():
            setattr(new[span_id], name, value)
    else:
        Span.objects.filter(trace_id=trace_id, span_id=span_id, task_id=owner.task_id).update(**columns)
