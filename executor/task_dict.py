"""A task as callers see it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from typing_extensions import TypedDict

from executor.blocked_by import BlockedBy, blocked_by
from executor.models import Task
from lifecycle.times import iso


class TaskDict(TypedDict):
    """A task as callers see it; times in ISO 8601 UTC."""

    id: str
    trace_id: str
    workspace_id: str
    agent_type: str
    agent_version: int | None
    description: str
    input: Any
    status: str
    reason: str | None
    priority: int
    run_at: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    attempt: int
    max_attempts: int
    progress: dict[str, Any] | None
    result: Any
    error: dict[str, Any] | None
    last_seq: int
    labels: dict[str, str]
    actor: str
    schedule_id: str | None
    parent_task_id: str | None
    retry_of: str | None
    usage: dict[str, Any]
    blocked_by: BlockedBy | None
    asks: list[dict[str, Any]]
    url: str


def as_dict(task: Task) -> TaskDict:
    """The row as callers see it; ``agent_version`` and ``agent_type`` should be loaded with it."""
    return {
        "id": str(task.pk),
        "trace_id": str(task.trace_id),
        "workspace_id": task.workspace_id,
        "agent_type": task.agent_type_id,
        "agent_version": task.agent_version.number if task.agent_version else None,
        "description": task.description,
        "input": task.input,
        "status": str(task.status),
        "reason": str(task.reason) if task.reason else None,
        "priority": task.priority,
        "run_at": iso(task.run_at),
        "created_at": iso(task.created_at),
        "started_at": iso(task.started_at),
        "finished_at": iso(task.finished_at),
        "attempt": task.attempt,
        "max_attempts": task.max_attempts,
        "progress": task.progress,
        "result": task.result,
        "error": task.error,
        "last_seq": task.last_seq,
        "labels": task.labels,
        "actor": task.actor,
        "schedule_id": None,
        "parent_task_id": str(task.parent_task_id) if task.parent_task_id else None,
        "retry_of": str(task.retry_of_id) if task.retry_of_id else None,
        "usage": {
            "input_tokens": task.input_tokens,
            "output_tokens": task.output_tokens,
            "cost": float(task.cost) if task.cost is not None else None,
            "currency": "USD" if task.cost is not None else None,
        },
        "blocked_by": blocked_by(task),
        "asks": [],
        "url": f"{settings.GATEWAY_PUBLIC_URL}/t/{task.pk}",
    }
