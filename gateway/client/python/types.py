"""What the server answers, as plain dicts with known keys; times are ISO 8601 in UTC, sizes are bytes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict

OnBusy = Literal["enqueue", "reject", "interrupt"]


class BlockedBy(TypedDict):
    """The code of what a task waits for, and a sentence that says what unblocks it."""

    code: str
    message: str


class Task(TypedDict):
    """A task."""

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


class Event(TypedDict):
    """One line of a task's log; ``seq`` counts 1, 2, 3 … without gaps."""

    seq: int
    type: str
    data: dict[str, Any]
    attempt: int
    at: str


class EventPage(TypedDict):
    """A part of a task's log."""

    items: list[Event]
    last_seq: int
    final: bool


class Artifact(TypedDict):
    """A file that a task produced."""

    id: str
    path: str
    title: str
    media_type: str
    size: int
    sha256: str
    created_at: str


class BulkResult(TypedDict):
    """What a bulk verb did; ``remaining`` match too and wait for the next call."""

    matched: int
    done: int
    skipped: list[dict[str, str]]
    remaining: int
    sample: NotRequired[list[str]]


class Trace(TypedDict):
    """One run context of an agent: the conversation that its tasks stand in."""

    id: str
    workspace_id: str
    agent_type: str
    title: str
    parent_id: str | None
    status: str
    labels: dict[str, str]
    metadata: dict[str, Any]
    task_counts: dict[str, int]
    usage: dict[str, Any]
    created_at: str
    closed_at: str | None


class Span(TypedDict):
    """One step of a run; ids are 16 hex digits as in OpenTelemetry."""

    id: str
    parent_id: str | None
    trace_id: str
    task_id: str | None
    kind: str
    name: str
    status: str
    started_at: str
    ended_at: str | None
    input: Any
    output: Any
    model: str | None
    usage: dict[str, Any]
    error: str | None
    attributes: dict[str, Any]


class SpanChanges(TypedDict):
    """Spans that changed, and the number to ask after next."""

    items: list[Span]
    next_after: int


class Workspace(TypedDict):
    """One user's or team's area; ``quota_bytes`` None and ``max_running`` 0 mean no limit."""

    id: str
    title: str
    status: str
    quota_bytes: int | None
    used_bytes: int
    max_running: int
    metadata: dict[str, Any]
    created_at: str


class File(TypedDict):
    """A file or folder of a workspace; ``kind`` is ``file`` or ``dir``."""

    path: str
    kind: str
    size: int
    modified_at: str


class StoredFile(TypedDict):
    """A file that was just written."""

    path: str
    size: int
    sha256: str


class AgentType(TypedDict):
    """A registered kind of agent with its active version."""

    name: str
    title: dict[str, str]
    description: str
    enabled: bool
    version: int | None
    source: str
    problem: str | None
    runner_kind: str | None
    limits: dict[str, Any]
    settings: dict[str, Any]
    input_schema: dict[str, Any]


class AgentVersion(TypedDict):
    """One version of an agent type."""

    version: int
    active: bool
    config: dict[str, Any]
    created_by: str
    created_at: str


class WhoAmI(TypedDict):
    """Whom the key stands for; ``workspaces`` None: all of them."""

    kind: str
    name: str
    scopes: list[str]
    workspaces: list[str] | None


class WorkerStats(TypedDict):
    """A worker process that is alive."""

    name: str
    host: str
    pid: int
    slots: int
    running: int


class Stats(TypedDict):
    """How the engine stands."""

    tasks: dict[str, int]
    oldest_due_at: str | None
    workers: list[WorkerStats]
    paused: bool
    paused_by: str | None


class TraceFilters(TypedDict, total=False):
    """The filters of a list of traces; several values of one mean *or*, ``q`` searches ids and titles."""

    workspace_id: str | Sequence[str] | None
    agent_type: str | Sequence[str] | None
    status: str | Sequence[str] | None
    labels: Sequence[tuple[str, str]]
    q: str | None
    created_after: datetime | None
    created_before: datetime | None


class TaskFilters(TraceFilters, total=False):
    """The filters of a list of tasks; ``q`` searches ids and descriptions."""

    trace_id: str | None
