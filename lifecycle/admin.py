"""Workspaces, agent types, traces, spans and keys in the admin."""

from __future__ import annotations

from django.contrib import admin

from lifecycle.admin_read_only import ReadOnlyAdmin
from lifecycle.models import AgentType, AgentVersion, ApiKey, Span, Trace, Workspace


@admin.register(Workspace)
class WorkspaceAdmin(ReadOnlyAdmin):
    list_display = ("id", "title", "status", "used_bytes", "quota_bytes", "max_running", "created_at")
    list_filter = ("status",)
    search_fields = ("id", "title")


@admin.register(AgentType)
class AgentTypeAdmin(ReadOnlyAdmin):
    list_display = ("name", "enabled", "active_version", "source", "problem")
    list_filter = ("enabled", "source")
    list_select_related = ("active_version",)
    search_fields = ("name",)


@admin.register(AgentVersion)
class AgentVersionAdmin(ReadOnlyAdmin):
    list_display = ("agent_type", "number", "mode", "created_by", "created_at")
    list_filter = ("agent_type",)
    list_select_related = ("agent_type",)


@admin.register(Trace)
class TraceAdmin(ReadOnlyAdmin):
    list_display = ("id", "title", "workspace", "agent_type", "created_at", "closed_at")
    list_filter = ("agent_type",)
    list_select_related = ("workspace", "agent_type")
    search_fields = ("=id", "title")
    ordering = ("-id",)


@admin.register(Span)
class SpanAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "status", "trace", "started_at", "ended_at")
    list_filter = ("kind", "status")
    list_select_related = ("trace",)
    ordering = ("-id",)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ("name", "prefix", "scopes", "workspaces", "created_at", "expires_at", "revoked_at")
    search_fields = ("name", "prefix")
    exclude = ("digest",)
