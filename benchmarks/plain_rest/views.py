"""Viewsets and serializers as the tutorial writes them; a create makes the same rows as Gateway's submit."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework.serializers import BaseSerializer, ModelSerializer
from rest_framework.viewsets import ModelViewSet, ReadOnlyModelViewSet

from executor.models import Task, TaskEvent
from lifecycle.models import Trace


class TaskSerializer(ModelSerializer[Task]):
    """All columns but the secrets of an attempt."""

    class Meta:
        model = Task
        exclude = ("lease_token", "checkpoint")
        read_only_fields = (
            "workspace", "agent_type", "agent_version", "position", "timeout_seconds", "max_attempts",
            "actor", "status", "reason", "attempt", "failures", "last_seq", "result", "error", "progress",
            "input_tokens", "output_tokens", "cost", "parent_task", "retry_of", "created_at", "started_at",
            "finished_at", "cancel_requested_at",
        )  # fmt: skip
        extra_kwargs = {"run_at": {"required": False}}


class EventSerializer(ModelSerializer[TaskEvent]):
    """What Gateway tells of an event."""

    class Meta:
        model = TaskEvent
        fields = ("seq", "type", "data", "attempt", "at")


class TaskViewSet(ModelViewSet[Task]):
    """Submit and get."""

    queryset = Task.objects.order_by("-id")
    serializer_class = TaskSerializer

    def get_queryset(self) -> QuerySet[Task]:
        return Task.objects.for_actor(actor_of(self.request)).order_by("-id")

    @transaction.atomic
    def perform_create(self, serializer: BaseSerializer[Task]) -> None:
        key = serializer.validated_data["trace"].pk
        traces = Trace.objects.select_for_update(of=("self",)).select_related("agent_type__active_version")
        trace = traces.get(pk=key)
        version = trace.agent_type.active_version
        assert version is not None
        limits = version.config["limits"]
        now = timezone.now()
        trace.last_position += 1
        trace.save(update_fields=["last_position"])
        task = serializer.save(
            workspace_id=trace.workspace_id,
            agent_type_id=trace.agent_type_id,
            position=trace.last_position,
            timeout_seconds=limits["timeout_seconds"],
            max_attempts=limits["max_attempts"],
            actor=actor_of(self.request).name,
            run_at=serializer.validated_data.get("run_at", now),
            created_at=now,
            last_seq=1,
        )
        data = {"actor": task.actor, "reason": None}
        TaskEvent.objects.create(task=task, seq=1, type="task.submitted", data=data, attempt=0, at=now)


class EventViewSet(ReadOnlyModelViewSet[TaskEvent]):
    """The log of a task."""

    queryset = TaskEvent.objects.all()
    serializer_class = EventSerializer

    def get_queryset(self) -> QuerySet[TaskEvent]:
        events = TaskEvent.objects.for_actor(actor_of(self.request))
        return events.filter(task_id=self.kwargs["task_id"]).order_by("seq")


def actor_of(request: Any) -> Any:
    """Who calls."""
    return request.user.actor
