"""Why a pending task is not running: computed from live facts each time it is asked."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone
from typing_extensions import TypedDict

from executor import candidates, database_clock
from executor.models import EngineState, Task, Worker
from executor.states import LEASED, Reason, TaskStatus
from lifecycle.times import iso

FRESH = timedelta(seconds=15)
"""A worker process that has not been seen for longer is not counted as alive."""


class BlockedBy(TypedDict):
    """The code of what a task waits for, and a sentence that says what unblocks it."""

    code: str
    message: str


def blocked_by(task: Task) -> BlockedBy | None:
    """What keeps a pending task from starting now; None if nothing does, or if it is not pending."""
    if task.status != TaskStatus.PENDING:
        return None
    return _own_time(task) or _paused() or _trace(task) or _agent_type(task) or _limits(task) or _workers()


def workers_alive(kind: Worker.Kind = Worker.Kind.RUNNER) -> bool:
    """Whether any process of this kind was seen lately."""
    return Worker.objects.filter(kind=kind, seen_at__gt=timezone.now() - FRESH).exists()


def _own_time(task: Task) -> BlockedBy | None:
    if task.run_at <= database_clock.now():
        return None
    if task.reason == Reason.RETRY:
        message = f"Attempt {task.attempt} failed; the next starts at {iso(task.run_at)}."
        return {"code": "retry_later", "message": message}
    return {"code": "due_later", "message": f"It is due at {iso(task.run_at)}."}


def _paused() -> BlockedBy | None:
    state = EngineState.objects.filter(paused_at__isnull=False).first()
    if state is None:
        return None
    message = f"Everything was paused by {state.paused_by}. Resume it: POST /api/v1/resume."
    return {"code": "paused", "message": message}


def _trace(task: Task) -> BlockedBy | None:
    ahead = (
        Task.objects.filter(trace_id=task.trace_id, status__in=LEASED).first()
        or Task.objects.pending()
        .filter(trace_id=task.trace_id, position__lt=task.position)
        .filter(Q(run_at__lte=database_clock.now()) | Q(attempt__gt=0))
        .order_by("position")
        .first()
    )
    if ahead is None:
        return None
    return {
        "code": "trace_busy",
        "message": f"Task {ahead.pk} of the same trace is {ahead.status}; they run one after another. "
        "Cancel that one, or submit to another trace.",
    }


def _agent_type(task: Task) -> BlockedBy | None:
    if task.agent_type.enabled and task.agent_type.active_version_id:
        return None
    return {
        "code": "agent_type_disabled",
        "message": f"The agent type '{task.agent_type_id}' is disabled. Enable it to let its tasks start.",
    }


def _limits(task: Task) -> BlockedBy | None:
    room = candidates.room_left()
    if room.agent_types.get(task.agent_type_id, 1) <= 0:
        return {
            "code": "agent_type_limit",
            "message": f"As many tasks of '{task.agent_type_id}' run as its limits.max_running allows.",
        }
    if room.workspaces.get(task.workspace_id, 1) <= 0:
        return {
            "code": "workspace_limit",
            "message": f"As many tasks of the workspace '{task.workspace_id}' run as its max_running allows.",
        }
    return None


def _workers() -> BlockedBy | None:
    if workers_alive():
        return None
    return {"code": "no_worker", "message": "No worker is alive. Start one: `python manage.py worker`."}
