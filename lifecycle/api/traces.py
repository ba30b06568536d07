"""``/traces``"""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle.api.idempotency import idempotent
from lifecycle.api.schema import PAGING, SEARCH, documented, number, page_of, shape
from lifecycle.api.views import LIST_FILTERS, ApiView, Query, page_response, parsed
from lifecycle.span_dict import SpanChanges
from lifecycle.trace_manager import TraceDict, TraceManager

FILTERS = (
    *LIST_FILTERS,
    "workspace_id",
    "agent_type",
    "status",
    "label",
    "q",
    "created_after",
    "created_before",
)


class NewTrace(serializers.Serializer):
    """The body of POST /traces."""

    workspace_id = serializers.CharField()
    agent_type = serializers.CharField()
    title = serializers.CharField(required=False, allow_blank=True)
    parent_id = serializers.CharField(required=False, allow_null=True)
    labels = serializers.DictField(required=False)
    metadata = serializers.DictField(required=False)


class ChangedTrace(serializers.Serializer):
    """The body of PATCH /traces/{id}; what is left out stays."""

    title = serializers.CharField(required=False, allow_blank=True)
    labels = serializers.DictField(required=False)
    metadata = serializers.DictField(required=False)


class TracesView(ApiView):
    """All traces."""

    @documented("List the traces", page_of(TraceDict), query=(*PAGING, *SEARCH))
    def get(self, request: Request) -> Response:
        query = Query(request, FILTERS)
        page = TraceManager().list_traces(
            workspace_id=query.many("workspace_id"),
            agent_type=query.many("agent_type"),
            status=query.many("status"),
            labels=query.labels(),
            q=query.text("q"),
            created_after=query.moment("created_after"),
            created_before=query.moment("created_before"),
            actor=self.actor,
            **query.list_filters(),
        )
        return page_response(page)

    @documented(
        "Create a trace",
        shape(TraceDict),
        body=NewTrace,
        status=201,
        also=(409,),
        example={"workspace_id": "user_001", "agent_type": "data_analyst"},
        headers=("Idempotency-Key",),
    )
    @idempotent
    def post(self, request: Request) -> Response:
        trace_id = TraceManager().create_trace(actor=self.actor, **parsed(NewTrace, request))
        made = TraceManager().get_trace(trace_id, actor=self.actor)
        return Response(made, status=201, headers={"Location": f"/api/v1/traces/{trace_id}"})


class TraceView(ApiView):
    """One trace."""

    @documented("Get a trace", shape(TraceDict))
    def get(self, request: Request, trace_id: str) -> Response:
        return Response(TraceManager().get_trace(trace_id, actor=self.actor))

    @documented("Change a trace", shape(TraceDict), body=ChangedTrace)
    def patch(self, request: Request, trace_id: str) -> Response:
        changes = parsed(ChangedTrace, request)
        return Response(TraceManager().update_trace(trace_id, actor=self.actor, **changes))


class CloseTraceView(ApiView):
    """POST /traces/{id}/close"""

    @documented("Close a trace", shape(TraceDict), also=(409,))
    def post(self, request: Request, trace_id: str) -> Response:
        return Response(TraceManager().close_trace(trace_id, actor=self.actor))


class SpansView(ApiView):
    """GET /traces/{id}/spans"""

    @documented(
        "List the spans that changed",
        shape(SpanChanges),
        query=(
            number("after", "Changes after this number.", minimum=0, maximum=2**53, default=0),
            number("limit", "Spans at most.", minimum=1, maximum=1000, default=1000),
        ),
    )
    def get(self, request: Request, trace_id: str) -> Response:
        query = Query(request, ("after", "limit"))
        changes = TraceManager().list_spans(
            trace_id,
            after=query.whole("after", 0, low=0, high=2**53),
            limit=query.whole("limit", 1000, low=1, high=1000),
            actor=self.actor,
        )
        return Response(changes)
