"""The verbs on traces."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from typing_extensions import TypedDict

from gateway.errors import Conflict, TraceNotFound
from gateway.page import Page
from lifecycle import filters, input_rules, keyset, workspace_manager
from lifecycle.actors import Actor, local_actor
from lifecycle.agent_type_manager import AgentTypeManager
from lifecycle.ids import as_uuid
from lifecycle.models import Trace, Workspace
from lifecycle.span_dict import SpanChanges, span_dict
from lifecycle.times import iso
from lifecycle.trace_status import facts_of, with_status


class TraceDict(TypedDict):
    """A trace as callers see it."""

    id: str
    workspace_id: str
    agent_type: str
    title: str
    parent_id: str | None
    status: str
    labels: dict[str, str]
    metadata: dict[str, Any]
    task_counts: dict[str, int]
    usage: dict[str, Any]
    created_at: str
    closed_at: str | None


class TraceManager:
    """Register runs. Every verb takes ``actor=`` (default: whoever runs this process)."""

    def create_trace(
        self,
        workspace_id: str,
        agent_type: str,
        *,
        title: str = "",
        parent_id: UUID | str | None = None,
        labels: dict[str, str] | None = None,
        metadata: dict[str, Any] | None = None,
        actor: Actor | None = None,
    ) -> str:
        """Register a run of ``agent_type`` in ``workspace_id`` and return the trace's id.

        A workspace that does not exist yet is made, unless ``GATEWAY_AUTO_CREATE_WORKSPACES`` is off or the
        actor is limited to named ones. Raises ``InvalidInput``, ``WorkspaceNotFound``,
        ``AgentTypeNotFound``, ``TraceNotFound`` (the parent) or ``Conflict`` (an archived workspace).
        """
        actor = actor or local_actor()
        actor.require("submit")
        fields = {
            "title": input_rules.text(title, "title", maximum=200),
            "labels": input_rules.labels(labels),
            "metadata": input_rules.metadata(metadata),
        }
        kind = AgentTypeManager().get(agent_type)
        with transaction.atomic():
            workspace = workspace_manager.find_or_create(workspace_id, actor)
            if workspace.status != Workspace.Status.ACTIVE:
                raise Conflict(
                    f"The workspace '{workspace.id}' is {workspace.status} and takes no new traces.",
                    hint="Restore it, or use another one.",
                    current_status=workspace.status,
                )
            parent = find(parent_id, actor, "parent_id") if parent_id is not None else None
            trace = Trace.objects.create(workspace=workspace, agent_type=kind, parent=parent, **fields)
        return str(trace.id)

    def get_trace(self, trace_id: UUID | str, *, actor: Actor | None = None) -> TraceDict:
        """The trace; raise ``TraceNotFound`` if there is none that the actor may see."""
        return as_dict(find(trace_id, actor or local_actor()))

    def list_traces(
        self,
        *,
        workspace_id: str | Sequence[str] | None = None,
        agent_type: str | Sequence[str] | None = None,
        status: str | Sequence[str] | None = None,
        labels: Sequence[tuple[str, str]] = (),
        q: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
        actor: Actor | None = None,
    ) -> Page[TraceDict]:
        """Traces that the actor may see, newest first; at most ``limit`` (1 to 200) a page.

        Several values of one filter mean *or*; ``q`` searches ids and titles.
        """
        rows: QuerySet[Trace] = Trace.objects.for_actor(actor or local_actor())
        rows = filters.named(rows, "workspace__id", workspace_id)
        rows = filters.named(rows, "agent_type__name", agent_type)
        rows = filters.with_labels(rows, labels)
        rows = filters.searched(rows, q, "title")
        rows = filters.created_between(rows, created_after, created_before)
        if status is not None:
            rows = with_status(rows, [status] if isinstance(status, str) else status)
        return keyset.page(rows, as_dict, keys=("id",), limit=limit, cursor=cursor)

    def update_trace(
        self,
        trace_id: UUID | str,
        *,
        title: str | None = None,
        labels: dict[str, str] | None = None,
        metadata: dict[str, Any] | None = None,
        actor: Actor | None = None,
    ) -> TraceDict:
        """Change what is given and return the trace."""
        actor = actor or local_actor()
        actor.require("submit")
        with transaction.atomic():
            trace = find(trace_id, actor, lock=True)
            if title is not None:
                trace.title = input_rules.text(title, "title", maximum=200)
            if labels is not None:
                trace.labels = input_rules.labels(labels)
            if metadata is not None:
                trace.metadata = input_rules.metadata(metadata)
            trace.save(update_fields=["title", "labels", "metadata"])
        return as_dict(trace)

    def list_spans(
        self, trace_id: UUID | str, *, after: int = 0, limit: int = 1000, actor: Actor | None = None
    ) -> SpanChanges:
        """Spans that changed after change number ``after``, in that order; a changed span comes again."""
        trace = find(trace_id, actor or local_actor())
        input_rules.whole(limit, "limit", low=1, high=1000)
        rows = list(trace.spans.filter(change__gt=after).order_by("change")[:limit])
        return {"items": [span_dict(row) for row in rows], "next_after": rows[-1].change if rows else after}

    def close_trace(self, trace_id: UUID | str, *, actor: Actor | None = None) -> TraceDict:
        """Close the trace: it takes no more tasks. Raise ``Conflict`` while one of them is unfinished."""
        actor = actor or local_actor()
        actor.require("submit")
        with transaction.atomic():
            trace = find(trace_id, actor, lock=True)
            unfinished = facts_of(trace).unfinished
            if unfinished:
                raise Conflict(
                    f"Trace {trace.id} has {unfinished} unfinished task(s).",
                    hint="Wait for them or cancel them, then close it.",
                    current_status=facts_of(trace).status,
                )
            if trace.closed_at is None:
                trace.closed_at = timezone.now()
                trace.save(update_fields=["closed_at"])
        return as_dict(trace)


def find(trace_id: UUID | str, actor: Actor, field: str = "trace_id", *, lock: bool = False) -> Trace:
    """The row of a trace that the actor may see; else ``TraceNotFound``.

    ``lock`` keeps it as it is until the transaction ends, and loads what a submit looks at besides.
    """
    rows = Trace.objects.for_actor(actor)
    if lock:
        rows = rows.select_for_update(of=("self",)).select_related("workspace", "agent_type__active_version")
    key = as_uuid(trace_id)
    row = rows.filter(pk=key).first() if key else None
    if row is None:
        message = f"There is no trace {trace_id!s:.80}."
        raise TraceNotFound(message, errors=[{"field": field, "message": message}])
    return row


def as_dict(row: Trace) -> TraceDict:
    """The row as callers see it."""
    facts = facts_of(row)
    return {
        "id": str(row.id),
        "workspace_id": row.workspace_id,
        "agent_type": row.agent_type_id,
        "title": row.title,
        "parent_id": str(row.parent_id) if row.parent_id else None,
        "status": facts.status,
        "labels": row.labels,
        "metadata": row.metadata,
        "task_counts": facts.task_counts,
        "usage": facts.usage,
        "created_at": iso(row.created_at),
        "closed_at": iso(row.closed_at),
    }
