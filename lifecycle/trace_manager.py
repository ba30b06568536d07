"""The verbs on traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from django.db import transaction
from django.utils import timezone

from gateway.errors import Conflict, TraceNotFound
from lifecycle import input_rules, workspace_manager
from lifecycle.actors import Actor, local_actor
from lifecycle.agent_type_manager import AgentTypeManager
from lifecycle.ids import as_uuid, lookup
from lifecycle.models import Trace, Workspace
from lifecycle.times import iso
from lifecycle.trace_status import facts_of

if TYPE_CHECKING:
    from uuid import UUID


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
        workspace_id: str | None = None,
        agent_type: str | None = None,
        limit: int = 50,
        actor: Actor | None = None,
    ) -> list[TraceDict]:
        """Traces that the actor may see, newest first; at most ``limit`` (1 to 200)."""
        input_rules.whole(limit, "limit", low=1, high=200)
        rows = Trace.objects.for_actor(actor or local_actor()).order_by("-id")
        if workspace_id is not None:
            rows = rows.filter(workspace__id__lower=lookup(workspace_id))
        if agent_type is not None:
            rows = rows.filter(agent_type__name__lower=lookup(agent_type))
        return [as_dict(row) for row in rows[:limit]]

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
