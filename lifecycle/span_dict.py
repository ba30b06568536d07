"""A span as callers see it."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from lifecycle.models import Span
from lifecycle.times import iso


class SpanDict(TypedDict):
    """A span; ids are 16 hex digits as in OpenTelemetry."""

    id: str
    parent_id: str | None
    trace_id: str
    task_id: str | None
    kind: str
    name: str
    status: str
    started_at: str
    ended_at: str | None
    input: Any
    output: Any
    model: str | None
    usage: dict[str, Any]
    error: str | None
    attributes: dict[str, Any]


class SpanChanges(TypedDict):
    """Spans that changed, and the number to ask after next."""

    items: list[SpanDict]
    next_after: int


def span_dict(row: Span) -> SpanDict:
    """The row as callers see it."""
    return {
        "id": row.span_id,
        "parent_id": row.parent_span_id or None,
        "trace_id": str(row.trace_id),
        "task_id": str(row.task_id) if row.task_id else None,
        "kind": row.kind,
        "name": row.name,
        "status": row.status,
        "started_at": iso(row.started_at),
        "ended_at": iso(row.ended_at),
        "input": row.input,
        "output": row.output,
        "model": row.model or None,
        "usage": row.usage,
        "error": row.error or None,
        "attributes": row.attributes,
    }
