"""The verbs on traces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Unpack, cast

from gateway.client.python.paging import PAGE_ROWS, every, query_of
from gateway.client.python.tasks import new_key
from gateway.client.python.transport import Call, Transport, segment
from gateway.client.python.types import SpanChanges, Trace, TraceFilters
from gateway.page import Page


class TraceVerbs:
    """Register runs."""

    _http: Transport

    def create_trace(
        self,
        workspace_id: str,
        agent_type: str,
        *,
        title: str = "",
        parent_id: str | None = None,
        labels: dict[str, str] | None = None,
        metadata: dict[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> str:
        """Register a run of ``agent_type`` in ``workspace_id`` and return the trace's id.

        A workspace that does not exist yet is made, if the server does that and the key is not limited to
        named ones. Raises ``InvalidInput``, ``WorkspaceNotFound``, ``AgentTypeNotFound``, ``TraceNotFound``
        (the parent) or ``Conflict`` (an archived workspace).
        """
        body = {
            "workspace_id": workspace_id,
            "agent_type": agent_type,
            "title": title,
            "parent_id": parent_id,
            "labels": labels or {},
            "metadata": metadata or {},
        }
        key = idempotency_key or new_key()
        return str(self._http.json(Call("POST", "/traces", body=body, key=key))["id"])

    def get_trace(self, trace_id: str) -> Trace:
        """The trace; raise ``TraceNotFound`` if there is none that the key may see."""
        return cast("Trace", self._http.json(Call("GET", _path(trace_id))))

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
    ) -> Page[Trace]:
        """Traces, newest first; at most ``limit`` (1 to 200) a page, whose ``next_cursor`` leads on.

        Several values of one filter mean *or*; ``q`` searches ids and titles.
        """
        wanted: TraceFilters = {
            "workspace_id": workspace_id,
            "agent_type": agent_type,
            "status": status,
            "labels": labels,
            "q": q,
            "created_after": created_after,
            "created_before": created_before,
        }
        return Page(*self._http.page("/traces", query_of(wanted), limit, cursor))

    def iterate_traces(self, **wanted: Unpack[TraceFilters]) -> Iterator[Trace]:
        """All traces that match, newest first, asked for page by page."""
        return every(lambda cursor: self.list_traces(limit=PAGE_ROWS, cursor=cursor, **wanted))

    def update_trace(
        self,
        trace_id: str,
        *,
        title: str | None = None,
        labels: dict[str, str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Trace:
        """Change what is given and return the trace."""
        given = {"title": title, "labels": labels, "metadata": metadata}
        body = {name: value for name, value in given.items() if value is not None}
        return cast("Trace", self._http.json(Call("PATCH", _path(trace_id), body=body, repeatable=True)))

    def list_spans(self, trace_id: str, *, after: int = 0, limit: int = 1000) -> SpanChanges:
        """Spans that changed after change number ``after``, in that order; a changed span comes again."""
        call = Call("GET", _path(trace_id, "/spans"), query={"after": after, "limit": limit})
        return cast("SpanChanges", self._http.json(call))

    def close_trace(self, trace_id: str) -> Trace:
        """Close the trace: it takes no more tasks. Raise ``Conflict`` while one of them is unfinished."""
        return cast("Trace", self._http.json(Call("POST", _path(trace_id, "/close"), repeatable=True)))


def _path(trace_id: str, rest: str = "") -> str:
    return f"/traces/{segment(trace_id, 'trace_id')}{rest}"
