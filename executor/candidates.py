"""Which pending tasks may start now: one plain SELECT over a bounded window, the same on both databases."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connection

from executor.models import EngineState, Task
from executor.states import TaskStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

WINDOW_FACTOR = 4
"""Rows looked at for each row wanted: some turn out to exceed a limit together with those before them."""

# Literals, not parameters, where a partial index depends on them. An earlier task of the trace comes first
# if it is due or had begun: a retry keeps its place, a task planned for tomorrow does not block today's.
SQL = """
SELECT t.id, t.agent_type_id, t.workspace_id, v.id, v.mode
FROM executor_task t
JOIN lifecycle_agenttype a ON a.name = t.agent_type_id
JOIN lifecycle_agentversion v ON v.id = COALESCE(t.agent_version_id, a.active_version_id)
WHERE t.status = 'pending' AND t.run_at <= %s AND a.enabled AND v.mode IN ({modes})
  AND NOT EXISTS (
    SELECT 1 FROM executor_task b
    WHERE b.trace_id = t.trace_id AND b.status IN ('running', 'waiting', 'cancelling'))
  AND NOT EXISTS (
    SELECT 1 FROM executor_task e
    WHERE e.trace_id = t.trace_id AND e.status = 'pending' AND e.position < t.position
      AND (e.run_at <= %s OR e.attempt > 0))
  {full}
ORDER BY t.priority DESC, t.run_at, t.id
LIMIT %s
"""

LIMITS = """
SELECT a.name, v.max_running, NULL
FROM lifecycle_agenttype a JOIN lifecycle_agentversion v ON v.id = a.active_version_id
WHERE v.max_running > 0
UNION ALL
SELECT w.id, NULL, w.max_running FROM lifecycle_workspace w WHERE w.max_running > 0
"""


@dataclass(frozen=True)
class Candidate:
    """A task that may start, and the version and mode it would run in."""

    task_id: UUID
    agent_type: str
    workspace_id: str
    version_id: int
    mode: str


@dataclass
class Room:
    """How many more tasks of a limited agent type or workspace may start."""

    agent_types: dict[str, int]
    workspaces: dict[str, int]

    def take(self, one: Candidate) -> bool:
        """Take a place for ``one``; False if there is none."""
        of_type = self.agent_types.get(one.agent_type)
        of_workspace = self.workspaces.get(one.workspace_id)
        if (of_type is not None and of_type <= 0) or (of_workspace is not None and of_workspace <= 0):
            return False
        if of_type is not None:
            self.agent_types[one.agent_type] = of_type - 1
        if of_workspace is not None:
            self.workspaces[one.workspace_id] = of_workspace - 1
        return True


def choose(moment: datetime, free: Mapping[str, int], limit: int) -> list[Candidate]:
    """The tasks to start now, best first: at most ``limit``, and ``free[mode]`` of each mode.

    Must be called under the claim's lock: limits are exact only while nobody else claims.
    """
    if EngineState.objects.filter(paused_at__isnull=False).exists():
        return []
    room = room_left()
    left = dict(free)
    chosen: list[Candidate] = []
    for one in _window(moment, [mode for mode, count in free.items() if count > 0], room, limit):
        if len(chosen) == limit:
            break
        if left[one.mode] > 0 and room.take(one):
            left[one.mode] -= 1
            chosen.append(one)
    return chosen


def room_left() -> Room:
    """The places left of everything that has a limit of its own."""
    types: dict[str, int] = {}
    workspaces: dict[str, int] = {}
    with connection.cursor() as cursor:
        cursor.execute(LIMITS)
        for name, of_type, of_workspace in cursor.fetchall():
            if of_type is not None:
                types[name] = of_type
            else:
                workspaces[name] = of_workspace
    if not types and not workspaces:
        return Room({}, {})
    running = Task.objects.filter(status__in=[TaskStatus.RUNNING, TaskStatus.CANCELLING])
    by_type = Counter(running.filter(agent_type__in=types).values_list("agent_type_id", flat=True))
    by_workspace = Counter(running.filter(workspace__in=workspaces).values_list("workspace_id", flat=True))
    return Room(
        {name: limit - by_type[name] for name, limit in types.items()},
        {key: limit - by_workspace[key] for key, limit in workspaces.items()},
    )


def _window(moment: datetime, modes: list[str], room: Room, limit: int) -> list[Candidate]:
    if not modes:
        return []
    at = connection.ops.adapt_datetimefield_value(moment)
    parameters: list[str | int | None] = [at, *modes, at]
    full = ""
    for column, places in (("t.agent_type_id", room.agent_types), ("t.workspace_id", room.workspaces)):
        names = [name for name, count in places.items() if count <= 0]
        if names:
            full += f" AND {column} NOT IN ({_marks(names)})"
            parameters += names
    sql = SQL.format(modes=_marks(modes), full=full)
    with connection.cursor() as cursor:
        cursor.execute(sql, [*parameters, limit * WINDOW_FACTOR])
        return [Candidate(_uuid(row[0]), *row[1:]) for row in cursor.fetchall()]


def _marks(values: list[str]) -> str:
    return ", ".join(["%s"] * len(values))


def _uuid(value: UUID | str) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)
