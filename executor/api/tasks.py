"""``/tasks``"""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from executor import share_link, task_manager
from executor.states import FINAL
from executor.task_dict import TaskDict, as_dict
from executor.task_manager import BulkResult, Options, TaskManager
from executor.task_query import TaskFilters
from lifecycle.api.idempotency import idempotent
from lifecycle.api.schema import PAGING, SEARCH, documented, number, page_of, shape, text
from lifecycle.api.views import LIST_FILTERS, ApiView, Query, page_response, parsed
from lifecycle.input_rules import refuse

FILTERS = (
    "workspace_id",
    "trace_id",
    "agent_type",
    "status",
    "label",
    "q",
    "created_after",
    "created_before",
)
MAX_CANCEL_WAIT_SECONDS = 30
LINK = {"type": "object", "required": ["url"], "properties": {"url": {"type": "string", "format": "uri"}}}


class NewTask(serializers.Serializer):
    """The body of POST /tasks."""

    trace_id = serializers.CharField()
    description = serializers.CharField(trim_whitespace=False, allow_blank=True)
    input = serializers.JSONField(required=False, allow_null=True)
    priority = serializers.IntegerField(required=False)
    run_at = serializers.DateTimeField(required=False, allow_null=True)
    timeout_seconds = serializers.FloatField(required=False, allow_null=True)
    max_attempts = serializers.IntegerField(required=False, allow_null=True)
    on_busy = serializers.ChoiceField(["enqueue", "reject", "interrupt"], required=False)
    labels = serializers.DictField(required=False)


class Cancellation(serializers.Serializer):
    """The body of POST /tasks/{id}/cancel."""

    reason = serializers.CharField(required=False, allow_blank=True)
    wait = serializers.FloatField(required=False, min_value=0, max_value=MAX_CANCEL_WAIT_SECONDS)


class Retry(serializers.Serializer):
    """The body of POST /tasks/{id}/retry."""

    input = serializers.JSONField(required=False, allow_null=True)


class Share(serializers.Serializer):
    """The body of POST /tasks/{id}/share."""

    expires_seconds = serializers.IntegerField(required=False, min_value=60, max_value=366 * 24 * 3600)


class BulkFilter(serializers.Serializer):
    """The filters of a list, as JSON."""

    trace_id = serializers.CharField(required=False)
    workspace_id = serializers.CharField(required=False)
    agent_type = serializers.CharField(required=False)
    status = serializers.CharField(required=False)
    label = serializers.CharField(required=False)  # type: ignore[assignment]  # Field has an attribute label
    q = serializers.CharField(required=False)
    created_after = serializers.DateTimeField(required=False)
    created_before = serializers.DateTimeField(required=False)


class Bulk(serializers.Serializer):
    """The body of POST /tasks/bulk."""

    action = serializers.ChoiceField(["cancel", "retry"])
    filter = BulkFilter()
    dry_run = serializers.BooleanField(required=False)


class TasksView(ApiView):
    """All tasks."""

    @documented("List the tasks", page_of(TaskDict), query=(*PAGING, text("trace_id", "The trace."), *SEARCH))
    def get(self, request: Request) -> Response:
        query = Query(request, (*LIST_FILTERS, *FILTERS))
        page = TaskManager().list_tasks(actor=self.actor, **query.list_filters(), **filters_of(query))
        return page_response(page)

    @documented(
        "Submit a task",
        shape(TaskDict),
        body=NewTask,
        status=201,
        also=(409,),
        example={"trace_id": "01a21202-8f2c-7000-8000-000000000000", "description": "分析销售数据"},
        headers=("Idempotency-Key",),
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body = parsed(NewTask, request)
        trace_id, description = body.pop("trace_id"), body.pop("description")
        task = task_manager.submit(trace_id, description, cast("Options", body), self.actor)
        return created(as_dict(task))


class TaskView(ApiView):
    """One task."""

    @documented(
        "Get a task",
        shape(TaskDict),
        query=(number("wait", "Seconds to wait until it is final.", minimum=0, maximum=60, default=0.0),),
    )
    def get(self, request: Request, task_id: str) -> Response:
        Query(request, ())
        return Response(TaskManager().get_task(task_id, actor=self.actor))


class CancelTaskView(ApiView):
    """POST /tasks/{id}/cancel"""

    @documented("Cancel a task", shape(TaskDict), body=Cancellation, also=(409,))
    def post(self, request: Request, task_id: str) -> Response:
        body = parsed(Cancellation, request)
        wait = body.pop("wait", 0)
        task = TaskManager().cancel_task(task_id, actor=self.actor, **body)
        response = Response(task)
        if wait and task["status"] not in FINAL:
            # Waiting here would occupy one of the few database threads; the web process does it on its loop.
            response.awaited = (task["id"], wait)  # type: ignore[attr-defined]
        return response


class RetryTaskView(ApiView):
    """POST /tasks/{id}/retry"""

    @documented(
        "Run a final task again",
        shape(TaskDict),
        body=Retry,
        status=201,
        also=(409,),
        headers=("Idempotency-Key",),
    )
    @idempotent
    def post(self, request: Request, task_id: str) -> Response:
        retried = TaskManager().retry_task(task_id, actor=self.actor, **parsed(Retry, request))
        return created(TaskManager().get_task(retried, actor=self.actor))


class ShareTaskView(ApiView):
    """POST /tasks/{id}/share"""

    @documented("Make a link that shows the task", LINK, body=Share)
    def post(self, request: Request, task_id: str) -> Response:
        seconds = parsed(Share, request).get("expires_seconds", share_link.DEFAULT_SECONDS)
        task = TaskManager().get_task(task_id, actor=self.actor)
        base = settings.GATEWAY_PUBLIC_URL or request.build_absolute_uri("/").rstrip("/")
        return Response({"url": f"{base}/t/{task['id']}?share={share_link.make(task['id'], seconds)}"})


class BulkView(ApiView):
    """POST /tasks/bulk"""

    @documented(
        "Cancel or retry many tasks",
        shape(BulkResult),
        body=Bulk,
        example={"action": "cancel", "filter": {"agent_type": "data_analyst"}, "dry_run": True},
    )
    def post(self, request: Request) -> Response:
        body = parsed(Bulk, request)
        given: dict[str, Any] = dict(request.data)["filter"]
        unknown = sorted(set(given) - set(BulkFilter().fields))
        if unknown:
            raise refuse(f"filter.{unknown[0]}", "is not known.", f"Known: {', '.join(BulkFilter().fields)}.")
        wanted: dict[str, Any] = dict(body["filter"])
        if "label" in wanted:
            key, colon, value = wanted.pop("label").partition(":")
            if not colon or not key:
                raise refuse("filter.label", "must be key:value.")
            wanted["labels"] = [(key, value)]
        result = TaskManager().cancel_or_retry_many(
            body["action"],
            TaskFilters(**wanted),  # type: ignore[typeddict-item]
            dry_run=body.get("dry_run", False),
            actor=self.actor,
        )
        return Response(result)


class TraceTasksView(ApiView):
    """GET /traces/{id}/tasks"""

    @documented(
        "List the tasks of a trace",
        page_of(TaskDict),
        query=(*PAGING, text("status", "Status; repeated: or.", many=True)),
    )
    def get(self, request: Request, trace_id: str) -> Response:
        query = Query(request, (*LIST_FILTERS, "status"))
        page = TaskManager().list_tasks(
            trace_id=trace_id, status=query.many("status"), actor=self.actor, **query.list_filters()
        )
        return page_response(page)


def filters_of(query: Query) -> TaskFilters:
    """The filters of a task list from its query string."""
    return {
        "trace_id": query.text("trace_id"),
        "workspace_id": query.many("workspace_id"),
        "agent_type": query.many("agent_type"),
        "status": query.many("status"),
        "labels": query.labels(),
        "q": query.text("q"),
        "created_after": query.moment("created_after"),
        "created_before": query.moment("created_before"),
    }


def created(task: TaskDict) -> Response:
    """201 with the new task."""
    return Response(task, status=201, headers={"Location": f"/api/v1/tasks/{task['id']}"})
