"""Workspaces, agent types and their versions, traces, spans and API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from lifecycle.ids import new_id

if TYPE_CHECKING:
    from lifecycle.actors import Actor

M = TypeVar("M", bound=models.Model)


class ScopedQuerySet(models.QuerySet[M]):
    """Rows that belong to a workspace; the one place that decides which of them an actor may see."""

    def for_actor(self, actor: Actor) -> ScopedQuerySet[M]:
        """Keep the rows of the workspaces that ``actor`` may see."""
        if actor.workspaces is None:
            return self
        path: str = getattr(self.model, "WORKSPACE_PATH", "workspace_id")
        seen = Workspace.objects.filter(id__lower__in=actor.workspaces)
        return self.filter(**{f"{path}__in": seen.values("id")})


def empty_object() -> dict[str, Any]:
    """The default of JSON columns."""
    return {}


class Workspace(models.Model):
    """One user's or team's area: files on disk, a quota, members. Nothing crosses it."""

    WORKSPACE_PATH = "id"

    class Status(models.TextChoices):
        ACTIVE = "active"
        ARCHIVED = "archived"
        """Readable; takes no new traces, tasks or files."""
        DELETING = "deleting"

    id = models.CharField(primary_key=True, max_length=64)
    title = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE)
    quota_bytes = models.BigIntegerField(null=True, blank=True)
    """None: no quota of its own."""
    used_bytes = models.BigIntegerField(default=0)
    max_running = models.PositiveIntegerField(default=0)
    """Tasks of this workspace that may run at once; 0: no limit of its own."""
    metadata = models.JSONField(default=empty_object, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = ScopedQuerySet["Workspace"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(Lower("id"), name="workspace_id_without_case")]
        indexes = [
            models.Index(fields=["id"], name="workspace_limited", condition=models.Q(max_running__gt=0)),
        ]

    def __str__(self) -> str:
        return self.id


class AgentType(models.Model):
    """A registered kind of agent. What it is stands in its versions; one of them is active."""

    class Source(models.TextChoices):
        FILE = "file"
        ADMIN = "admin"

    name = models.CharField(primary_key=True, max_length=64)
    enabled = models.BooleanField(default=True)
    active_version = models.ForeignKey(
        "AgentVersion", on_delete=models.PROTECT, null=True, related_name="+", db_constraint=True
    )
    source = models.CharField(max_length=5, choices=Source)
    file_digest = models.CharField(max_length=64, blank=True)
    """SHA-256 of the file content last imported; the file acts again only when it differs."""
    problem = models.TextField(blank=True)
    """Why the file's present content is not in force; blank when it is."""
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(Lower("name"), name="agent_type_name_without_case")]

    def __str__(self) -> str:
        return self.name


class AgentVersion(models.Model):
    """One immutable configuration of an agent type. A task records the version it began with."""

    class Mode(models.TextChoices):
        ASYNC = "async"
        """A coroutine function on the worker's event loop."""
        CHILD = "child"
        """A plain function in a child process of its own."""

    agent_type = models.ForeignKey(AgentType, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    config = models.JSONField()
    """The whole validated configuration, with its defaults: ``lifecycle.agent_config.AgentConfig``."""
    mode = models.CharField(max_length=10, choices=Mode)
    """How a worker runs it; found out once, when the version is made."""
    max_running = models.PositiveIntegerField(default=0)
    """The config's limits.max_running, where the claim can read it."""
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agent_type", "number"], name="agent_version_number"),
        ]

    def __str__(self) -> str:
        return f"{self.agent_type_id} v{self.number}"


class Trace(models.Model):
    """One run context of one agent in one workspace: the conversation. Its status is computed."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="traces")
    agent_type = models.ForeignKey(AgentType, on_delete=models.PROTECT, related_name="traces")
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="children")
    title = models.CharField(max_length=200, blank=True)
    labels = models.JSONField(default=empty_object, blank=True)
    metadata = models.JSONField(default=empty_object, blank=True)
    last_position = models.PositiveIntegerField(default=0)
    """The position of the latest task; tasks of a trace start in the order of their positions."""
    last_change = models.PositiveBigIntegerField(default=0)
    """Counts changes of spans; each change gives its span the next number."""
    created_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True)

    objects = ScopedQuerySet["Trace"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["workspace", "-id"], name="trace_of_workspace")]

    def __str__(self) -> str:
        return self.title or str(self.id)


class Span(models.Model):
    """One step of a run. Kept once: the log's two events carry only its id, kind, name and status."""

    WORKSPACE_PATH = "trace__workspace_id"

    class Kind(models.TextChoices):
        AGENT = "agent"
        LLM = "llm"
        TOOL = "tool"
        CHAIN = "chain"
        RETRIEVER = "retriever"
        EMBEDDING = "embedding"

    class Status(models.TextChoices):
        RUNNING = "running"
        OK = "ok"
        ERROR = "error"
        INTERRUPTED = "interrupted"
        """Its attempt ended before the step did."""

    trace = models.ForeignKey(Trace, on_delete=models.CASCADE, related_name="spans")
    span_id = models.CharField(max_length=16)
    """16 hex digits, as in OpenTelemetry; unique within the trace."""
    parent_span_id = models.CharField(max_length=16, blank=True)
    task_id = models.UUIDField(null=True)
    """A plain id: lifecycle does not know the executor."""
    attempt = models.PositiveIntegerField(null=True)
    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=12, choices=Status, default=Status.RUNNING)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    input = models.JSONField(null=True)
    output = models.JSONField(null=True)
    model = models.CharField(max_length=200, blank=True)
    usage = models.JSONField(default=empty_object)
    error = models.TextField(blank=True)
    attributes = models.JSONField(default=empty_object)
    change = models.PositiveBigIntegerField(default=0)
    """The trace's change number when this row last changed: the cursor of whoever follows the spans."""

    objects = ScopedQuerySet["Span"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["trace", "span_id"], name="span_id_in_trace")]
        indexes = [
            models.Index(fields=["trace", "change"], name="span_changes"),
            models.Index(fields=["task_id"], name="open_spans_of_task", condition=models.Q(status="running")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class ApiKey(models.Model):
    """A key ``gk_<prefix>_<secret>`` for programs; of the secret (256 random bits) the SHA-256 is kept."""

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.CharField(max_length=64)
    scopes = models.JSONField()
    workspaces = models.JSONField(null=True)
    """The workspace ids it is limited to; None: all."""
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name} (gk_{self.prefix}_…)"


class IdempotencyKey(models.Model):
    """The answer to the first request with an ``Idempotency-Key``, kept for 24 h."""

    owner = models.CharField(max_length=200)
    """The actor: keys of different callers never meet."""
    path = models.CharField(max_length=500)
    key = models.CharField(max_length=255)
    digest = models.CharField(max_length=64)
    """SHA-256 of the request's body."""
    status = models.PositiveSmallIntegerField()
    body = models.JSONField(null=True)
    headers = models.JSONField(default=empty_object)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "path", "key"], name="idempotency_key")]
        indexes = [models.Index(fields=["created_at"], name="idempotency_age")]

    def __str__(self) -> str:
        return self.key
