"""Tasks, their attempts, events and artifacts, and the worker processes that run them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from executor.states import FINAL, LEASED, Reason, TaskStatus
from lifecycle.ids import new_id
from lifecycle.models import AgentType, AgentVersion, ScopedQuerySet, Trace, Workspace, empty_object

TERMINAL_EVENTS = ("task.completed", "task.failed", "task.cancelled")

# In a fixed order: they stand in the migrations.
_LEASED = sorted(status.value for status in LEASED)
_FINAL = sorted(status.value for status in FINAL)


class TaskQuerySet(ScopedQuerySet["Task"]):
    """Tasks."""

    def pending(self) -> TaskQuerySet:
        """Tasks that no attempt works on yet."""
        return self.filter(status=TaskStatus.PENDING)

    def unfinished(self) -> TaskQuerySet:
        """Tasks that have not reached a final state."""
        return self.exclude(status__in=FINAL)


class Task(models.Model):
    """One piece of work in a trace. The row is the queue's entry and the truth about the work.

    Only ``executor.transitions`` assigns ``status``.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    trace = models.ForeignKey(Trace, on_delete=models.PROTECT, related_name="tasks")
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="tasks")
    """The trace's workspace, kept here because the claim and every list ask for it."""
    agent_type = models.ForeignKey(AgentType, on_delete=models.PROTECT, related_name="tasks")
    agent_version = models.ForeignKey(AgentVersion, on_delete=models.PROTECT, null=True, related_name="tasks")
    """The version its first attempt began with; later attempts keep it."""
    position = models.PositiveIntegerField()
    """Its place in the trace: 1, 2, 3 …; tasks of a trace start in this order."""

    description = models.TextField()
    input = models.JSONField(null=True, blank=True)
    labels = models.JSONField(default=empty_object, blank=True)
    priority = models.SmallIntegerField(default=0)
    timeout_seconds = models.FloatField()
    """Running time of one attempt; 0: no limit."""
    max_attempts = models.PositiveSmallIntegerField()
    """Attempts that may end by error, timeout or a lost worker."""
    actor = models.CharField(max_length=200)

    status = models.CharField(max_length=10, choices=TaskStatus, default=TaskStatus.PENDING)
    reason = models.CharField(max_length=24, choices=Reason, null=True, blank=True)  # noqa: DJ001 - null is "none" outside
    run_at = models.DateTimeField()
    """Due from this moment on."""
    attempt = models.PositiveIntegerField(default=0)
    """The number of the latest claim: 0 before the first, never reused."""
    failures = models.PositiveIntegerField(default=0)
    """Attempts that ended by error, timeout or a lost worker."""
    lease_token = models.UUIDField(null=True, editable=False)
    """The live attempt's fencing token: every write for an attempt proves that it still stands here."""
    last_seq = models.PositiveIntegerField(default=0)
    """The number of the latest event."""

    result = models.JSONField(null=True)
    error = models.JSONField(null=True)
    progress = models.JSONField(null=True)
    checkpoint = models.JSONField(null=True)
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    cost = models.DecimalField(max_digits=18, decimal_places=8, null=True)

    parent_task = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="children")
    retry_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="retries")

    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)

    objects = TaskQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["trace", "position"], name="task_position_in_trace"),
            models.UniqueConstraint(
                fields=["lease_token"], condition=Q(lease_token__isnull=False), name="task_lease_token"
            ),
            models.UniqueConstraint(
                fields=["trace"], condition=Q(status__in=_LEASED), name="one_active_task_per_trace"
            ),
            models.CheckConstraint(
                condition=Q(status__in=_LEASED, lease_token__isnull=False)
                | (~Q(status__in=_LEASED) & Q(lease_token__isnull=True)),
                name="task_has_lease_exactly_while_active",
            ),
            models.CheckConstraint(
                condition=Q(status__in=_FINAL, finished_at__isnull=False)
                | (~Q(status__in=_FINAL) & Q(finished_at__isnull=True)),
                name="task_has_finished_at_exactly_when_final",
            ),
            models.CheckConstraint(condition=Q(priority__range=(-100, 100)), name="task_priority_range"),
        ]
        indexes = [
            # What the claim reads never grows with finished tasks: one small index of what may start …
            models.Index(
                fields=["-priority", "run_at", "id"], name="task_due", condition=Q(status="pending")
            ),
            models.Index(
                fields=["trace", "position"], name="task_pending_in_trace", condition=Q(status="pending")
            ),
            models.Index(fields=["run_at"], name="task_run_at", condition=Q(status="pending")),
            # … one of what runs, and one of what is to stop.
            models.Index(
                fields=["agent_type", "workspace"], name="task_active", condition=Q(status__in=_LEASED)
            ),
            models.Index(fields=["id"], name="task_cancelling", condition=Q(status="cancelling")),
            models.Index(fields=["workspace", "-id"], name="task_of_workspace"),
        ]

    def __str__(self) -> str:
        return self.description[:60]


class Attempt(models.Model):
    """One try at a task by one worker, under a lease."""

    WORKSPACE_PATH = "task__workspace_id"

    class Outcome(models.TextChoices):
        COMPLETED = "completed"
        ERROR = "error"
        TIMEOUT = "timeout"
        WORKER_LOST = "worker_lost"
        AGENT_NOT_CONFIGURED = "agent_not_configured"
        RELEASED = "released"
        """Given back unharmed by a worker that had to stop."""
        CANCELLED = "cancelled"

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    token = models.UUIDField(unique=True, editable=False)
    worker = models.CharField(max_length=120)
    host = models.CharField(max_length=120)
    """The machine (and process namespace) on which ``pid`` means something."""
    pid = models.PositiveIntegerField(null=True)
    started_at = models.DateTimeField()
    lease_until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=24, choices=Outcome, null=True)  # noqa: DJ001 - null while it lives

    objects = ScopedQuerySet["Attempt"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "number"], name="attempt_number"),
            models.UniqueConstraint(
                fields=["task"], condition=Q(ended_at__isnull=True), name="one_live_attempt_per_task"
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, outcome__isnull=True)
                | Q(ended_at__isnull=False, outcome__isnull=False),
                name="attempt_has_outcome_exactly_when_ended",
            ),
        ]
        indexes = [
            models.Index(fields=["lease_until"], name="attempt_lease", condition=Q(ended_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.task_id}"


class TaskEvent(models.Model):
    """One line of a task's log, numbered 1, 2, 3 … without gaps: the only thing that is streamed."""

    WORKSPACE_PATH = "task__workspace_id"

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="events", db_index=False)
    seq = models.PositiveIntegerField()
    type = models.CharField(max_length=24)
    data = models.JSONField()
    attempt = models.PositiveIntegerField()
    at = models.DateTimeField()

    objects = ScopedQuerySet["TaskEvent"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "seq"], name="event_seq_in_task"),
            models.UniqueConstraint(
                fields=["task"], condition=Q(type__in=TERMINAL_EVENTS), name="one_terminal_event_per_task"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.type}"


class Artifact(models.Model):
    """A file that a task produced, kept as it was then: later changes in the workspace do not touch it.

    Rows are immutable; a path that is kept again gets another row, and the newest one stands for it.
    """

    WORKSPACE_PATH = "task__workspace_id"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="artifacts")
    path = models.CharField(max_length=1024)
    """Where the agent wrote it, relative to the workspace."""
    title = models.CharField(max_length=200, blank=True)
    media_type = models.CharField(max_length=100)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    """Also its name in the artifact storage."""
    created_at = models.DateTimeField(default=timezone.now)

    objects = ScopedQuerySet["Artifact"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["task", "path", "-id"], name="artifact_of_task")]

    def __str__(self) -> str:
        return self.title or self.path


class Worker(models.Model):
    """A process that works for Gateway and says so every few seconds: a hint, not a lease."""

    class Kind(models.TextChoices):
        RUNNER = "runner"
        CLOCK = "clock"

    name = models.CharField(primary_key=True, max_length=120)
    kind = models.CharField(max_length=6, choices=Kind)
    host = models.CharField(max_length=120)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    slots = models.PositiveIntegerField(default=0)
    running = models.PositiveIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["kind", "seen_at"], name="worker_seen")]

    def __str__(self) -> str:
        return self.name


class EngineState(models.Model):
    """One row: whether anything may start."""

    paused_at = models.DateTimeField(null=True)
    paused_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="one_engine_state")]

    def __str__(self) -> str:
        return "paused" if self.paused_at else "running"
