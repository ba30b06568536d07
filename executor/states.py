"""The states of a task, and the moves between them that exist."""

from __future__ import annotations

from django.db.models import TextChoices


class TaskStatus(TextChoices):
    """Where a task stands."""

    PENDING = "pending"
    """Submitted, or given back for another attempt; a worker claims it when it is due."""
    RUNNING = "running"
    """An attempt works on it under a lease."""
    WAITING = "waiting"
    """Its attempt waits for a person's answer or a child task."""
    CANCELLING = "cancelling"
    """Asked to stop; its attempt has not confirmed yet."""
    COMPLETED = "completed"
    """The agent returned; the result is stored."""
    FAILED = "failed"
    """It ended by error, timeout or lost workers, with no attempts left."""
    CANCELLED = "cancelled"
    """It was stopped before it completed."""


class Reason(TextChoices):
    """Why a task is where it is."""

    ERROR = "error"
    TIMEOUT = "timeout"
    WORKER_LOST = "worker_lost"
    AGENT_NOT_CONFIGURED = "agent_not_configured"
    REQUESTED = "requested"
    KILLED = "killed"
    SUPERSEDED = "superseded"
    RETRY = "retry"
    RELEASED = "released"
    ASK = "ask"
    CHILD = "child"


S = TaskStatus

FINAL = frozenset({S.COMPLETED, S.FAILED, S.CANCELLED})
LEASED = frozenset({S.RUNNING, S.WAITING, S.CANCELLING})
"""A task has a live attempt exactly in these states; its trace is busy meanwhile."""

MOVES: dict[TaskStatus, frozenset[TaskStatus]] = {
    S.PENDING: frozenset({S.RUNNING, S.CANCELLED}),
    S.RUNNING: frozenset({S.WAITING, S.CANCELLING, S.PENDING, S.COMPLETED, S.FAILED, S.CANCELLED}),
    S.WAITING: frozenset({S.RUNNING, S.CANCELLING, S.PENDING, S.COMPLETED, S.FAILED, S.CANCELLED}),
    S.CANCELLING: frozenset({S.CANCELLED}),
    S.COMPLETED: frozenset(),
    S.FAILED: frozenset(),
    S.CANCELLED: frozenset(),
}


def sources_of(target: TaskStatus) -> frozenset[TaskStatus]:
    """The states from which a task may move to ``target``."""
    return frozenset(source for source, targets in MOVES.items() if target in targets)
