"""Why a pending task is not running: computed from live facts each time it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone
from typing_extensions import TypedDict

from executor import candidates, database_clock
from executor.models import Task, Worker
from executor.states import Reason, TaskStatus
from lifecycle.times import iso

FRESH = timedelta(seconds=15)
"""A worker process that has not been seen for longer is not counted as alive."""


# Asked for every pending task that is shown. One statement: the ORM's four took ten times as long to be put
# together as they took to run. A trace has at most one active task, and the engine at most one row.
FACTS = """
SELECT s.paused_by, b.id, b.status,
  (SELECT e.id FROM executor_task e
   WHERE e.trace_id = %s AND e.status = 'pending' AND e.position < %s AND (e.run_at <= %s OR e.attempt > 0)
   ORDER BY e.position LIMIT 1),
  EXISTS (SELECT 1 FROM executor_worker w WHERE w.kind = 'runner' AND w.seen_at > %s)
FROM (SELECT 1 AS one) o
LEFT JOIN executor_enginestate s ON s.paused_at IS NOT NULL
LEFT JOIN executor_task b ON b.trace_id = %s AND b.status IN ('running', 'waiting', 'cancelling')
"""


class BlockedBy(TypedDict):
    """The code of what a task waits for, and a sentence that says what unblocks it."""

    code: str
    message: str


def blocked_by(task: Task) -> BlockedBy | None:
    """What keeps a pending task from starting now; None if nothing does, or if it is not pending."""
    if task.status != TaskStatus.PENDING:
        return None
    moment = database_clock.now()
    facts = _facts(task, moment)
    return (
        _own_time(task, moment)
        or _paused(facts)
        or _trace(facts)
        or _agent_type(task)
        or _limits(task)
        or _workers(facts)
    )


def workers_alive(kind: Worker.Kind = Worker.Kind.RUNNER) -> bool:
    """Whether any process of this kind was seen lately."""
    return Worker.objects.filter(kind=kind, seen_at__gt=timezone.now() - FRESH).exists()


@dataclass(frozen=True)
class _Facts:
    """What is asked of the database."""

    paused_by: str | None
    active: UUID | str | None
    active_status: str | None
    earlier: UUID | str | None
    worker: Any


def _facts(task: Task, moment: datetime) -> _Facts:
    trace = Task._meta.get_field("trace").get_db_prep_value(task.trace_id, connection)
    at, fresh_from = map(connection.ops.adapt_datetimefield_value, (moment, timezone.now() - FRESH))
    with connection.cursor() as cursor:
        cursor.execute(FACTS, [trace, task.position, at, fresh_from, trace])
        return _Facts(*cursor.fetchone())


def _own_time(task: Task, moment: datetime) -> BlockedBy | None:
    if task.run_at <= moment:
        return None
    if task.reason == Reason.RETRY:
        message = f"Attempt {task.attempt} failed; the next starts at {iso(task.run_at)}."
        return {"code": "retry_later", "message": message}
    return {"code": "due_later", "message": f"It is due at {iso(task.run_at)}."}


def _paused(facts: _Facts) -> BlockedBy | None:
    if facts.paused_by is None:
        return None
    message = f"Everything was paused by {facts.paused_by}. Resume it: POST /api/v1/resume."
    return {"code": "paused", "message": message}


def _trace(facts: _Facts) -> BlockedBy | None:
    ahead = facts.active or facts.earlier
    if ahead is None:
        return None
    key = UUID(str(ahead))  # SQLite has ids as 32 digits
    return {
        "code": "trace_busy",
        "message": f"Task {key} of the same trace is {facts.active_status or TaskStatus.PENDING}; "
        "they run one after another. Cancel that one, or submit to another trace.",
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


def _workers(facts: _Facts) -> BlockedBy | None:
    if facts.worker:
        return None
    return {"code": "no_worker", "message": "No worker is alive. Start one: `python manage.py worker`."}
