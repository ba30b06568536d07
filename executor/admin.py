"""Tasks and what belongs to them in the admin."""

from __future__ import annotations

from django.contrib import admin

from executor.models import Artifact, Attempt, Task, TaskEvent, Worker
from lifecycle.admin_read_only import ReadOnlyAdmin


@admin.register(Task)
class TaskAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "status",
        "reason",
        "agent_type",
        "workspace",
        "description",
        "attempt",
        "created_at",
    )
    list_filter = ("status", "agent_type")
    list_select_related = ("agent_type", "workspace")
    search_fields = ("=id", "description")
    ordering = ("-id",)
    exclude = ("lease_token",)


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    list_display = ("task", "number", "worker", "started_at", "ended_at", "outcome")
    list_filter = ("outcome",)
    list_select_related = ("task",)
    ordering = ("-id",)
    exclude = ("token",)


@admin.register(TaskEvent)
class TaskEventAdmin(ReadOnlyAdmin):
    list_display = ("task", "seq", "type", "attempt", "at")
    list_select_related = ("task",)
    search_fields = ("=task__id",)
    ordering = ("-id",)


@admin.register(Artifact)
class ArtifactAdmin(ReadOnlyAdmin):
    list_display = ("path", "title", "task", "media_type", "size", "created_at")
    list_select_related = ("task",)
    ordering = ("-id",)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "host", "pid", "running", "slots", "seen_at")
    list_filter = ("kind",)
