"""The verbs on tasks: every door (REST, admin, chat, SDK, a script) calls these, each with an actor."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from executor import artifact_store, database_clock, doorbell, events, kernel, leases, transitions
from executor.models import Artifact, Attempt, Task
from executor.states import FINAL, LEASED, Reason, TaskStatus
from executor.task_dict import TaskDict, as_dict
from executor.transitions import Move
from gateway.errors import Busy, Conflict, LeaseLost, NotFound, NotReady, TaskNotFound
from lifecycle import input_rules, input_schema, trace_manager
from lifecycle.actors import Actor, local_actor
from lifecycle.ids import as_uuid, lookup, new_id
from lifecycle.models import Trace, Workspace
from lifecycle.times import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from executor.events import EventDict

OnBusy = Literal["enqueue", "reject", "interrupt"]

MAX_DESCRIPTION = 32_768
MAX_INPUT_BYTES = 1024 * 1024
MAX_TIMEOUT_SECONDS = 30 * 24 * 3600
POLL_SECONDS = 1.0
"""A look without a ring while somebody waits."""


class TaskManager:
    """Submit, follow and stop tasks. Every verb takes ``actor=`` (default: whoever runs this process)."""

    def submit_task(
        self,
        trace_id: UUID | str,
        task_description: str,
        *,
        input: Any = None,
        priority: int = 0,
        run_at: datetime | None = None,
        timeout_seconds: float | None = None,
        max_attempts: int | None = None,
        on_busy: OnBusy = "enqueue",
        labels: dict[str, str] | None = None,
        actor: Actor | None = None,
    ) -> str:
        """Give the trace's agent a task and return the task's id.

        ``run_at`` (aware) makes it due later; ``timeout_seconds`` bounds one attempt's running time (0: no
        limit), ``max_attempts`` its failed attempts; both default to the agent type's limits. ``on_busy``
        says what happens while another task of the trace is active: wait for it, ``Busy``, or cancel it.
        Raises ``InvalidInput``, ``TraceNotFound`` or ``Conflict`` (closed trace, archived workspace).
        """
        actor = actor or local_actor()
        actor.require("submit")
        if on_busy not in ("enqueue", "reject", "interrupt"):
            raise input_rules.refuse("on_busy", "must be enqueue, reject or interrupt.")
        fields = _checked(task_description, input, priority, run_at, labels)
        with transaction.atomic():
            trace = trace_manager.find(trace_id, actor, lock=True)
            _refuse_closed(trace)
            limits, schema = _rules_of(trace)
            input_schema.check(input, schema, trace.agent_type_id)
            task = Task(
                id=new_id(),
                trace=trace,
                workspace_id=trace.workspace_id,
                agent_type_id=trace.agent_type_id,
                position=trace.last_position + 1,
                timeout_seconds=_timeout(timeout_seconds, limits),
                max_attempts=_attempts(max_attempts, limits),
                actor=actor.name,
                **fields,
            )
            self._create(task, trace, on_busy, actor)
        return str(task.pk)

    def get_task(self, task_id: UUID | str, *, actor: Actor | None = None) -> TaskDict:
        """The task as a dict; raise ``TaskNotFound`` if there is none that the actor may see."""
        return as_dict(find(task_id, actor or local_actor()))

    def list_tasks(
        self,
        *,
        trace_id: UUID | str | None = None,
        workspace_id: str | None = None,
        agent_type: str | None = None,
        status: str | Iterable[str] | None = None,
        limit: int = 50,
        actor: Actor | None = None,
    ) -> list[TaskDict]:
        """Tasks that the actor may see, newest first, at most ``limit`` (1 to 200); statuses mean *or*."""
        input_rules.whole(limit, "limit", low=1, high=200)
        rows = Task.objects.for_actor(actor or local_actor()).order_by("-id")
        if trace_id is not None:
            rows = rows.filter(trace=trace_manager.find(trace_id, actor or local_actor()))
        if workspace_id is not None:
            rows = rows.filter(workspace__id__lower=lookup(workspace_id))
        if agent_type is not None:
            rows = rows.filter(agent_type__name__lower=lookup(agent_type))
        if status is not None:
            rows = rows.filter(status__in=_statuses(status))
        return [as_dict(row) for row in rows.select_related("agent_type", "agent_version")[:limit]]

    def cancel_task(
        self, task_id: UUID | str, *, reason: str = "", wait: float = 0, actor: Actor | None = None
    ) -> TaskDict:
        """Ask for the task to be stopped, and return it.

        A pending task, or one whose worker is dead, is cancelled at once; a running one becomes
        ``cancelling`` until its worker confirms. ``wait`` seconds are given for that. A final task is
        returned unchanged.
        """
        actor = actor or local_actor()
        actor.require("submit")
        task = find(task_id, actor)
        _cancel(task, actor.name, Reason.REQUESTED, input_rules.text(reason, "reason", maximum=1000))
        return self.wait(task.pk, timeout=wait, actor=actor) if wait else self.get_task(task.pk, actor=actor)

    def retry_task(self, task_id: UUID | str, *, input: Any = None, actor: Actor | None = None) -> str:
        """Submit a final task again, as a new task of the same trace; returns the new id.

        ``input`` replaces the old input. Raises ``Conflict`` while the task is not final.
        """
        actor = actor or local_actor()
        actor.require("submit")
        old = find(task_id, actor)
        if old.status not in FINAL:
            raise Conflict(
                f"Task {old.pk} is {old.status}; only a final task can be run again.",
                hint="Wait for it, or cancel it first.",
                current_status=str(old.status),
            )
        with transaction.atomic():
            trace = trace_manager.find(old.trace_id, actor, lock=True)
            _refuse_closed(trace)
            fields = _checked(
                old.description, old.input if input is None else input, old.priority, None, old.labels
            )
            input_schema.check(fields["input"], _rules_of(trace)[1], trace.agent_type_id)
            task = Task(
                id=new_id(),
                trace=trace,
                workspace_id=old.workspace_id,
                agent_type_id=old.agent_type_id,
                position=trace.last_position + 1,
                timeout_seconds=old.timeout_seconds,
                max_attempts=old.max_attempts,
                actor=actor.name,
                retry_of=old,
                **fields,
            )
            self._create(task, trace, "enqueue", actor)
        return str(task.pk)

    def list_events(
        self,
        task_id: UUID | str,
        *,
        after: int = 0,
        limit: int = 200,
        wait: float = 0,
        actor: Actor | None = None,
    ) -> list[EventDict]:
        """The task's events with a number above ``after``, in order, at most ``limit`` (1 to 1000).

        With ``wait`` it returns at the first new event, or with none after that many seconds.
        """
        input_rules.whole(limit, "limit", low=1, high=1000)
        input_rules.whole(after, "after", low=-1, high=2**31)
        task = find(task_id, actor or local_actor())
        found = events.after(task.pk, after, limit)
        if found or wait <= 0 or task.status in FINAL:
            return found
        listener = doorbell.listen("news")
        try:
            give_up_at = time.monotonic() + wait
            while not (found := events.after(task.pk, after, limit)) and time.monotonic() < give_up_at:
                listener.wait(min(POLL_SECONDS, give_up_at - time.monotonic()))
            return found
        finally:
            listener.close()

    def wait(
        self, task_id: UUID | str, timeout: float | None = None, *, actor: Actor | None = None
    ) -> TaskDict:
        """The task once it is final, or as it is after ``timeout`` seconds (None: wait for ever)."""
        actor = actor or local_actor()
        listener = doorbell.listen("news")  # before the first look, or a ring could fall between
        try:
            task = find(task_id, actor)
            give_up_at = time.monotonic() + timeout if timeout is not None else float("inf")
            while task.status not in FINAL and time.monotonic() < give_up_at:
                listener.wait(min(POLL_SECONDS, give_up_at - time.monotonic()))
                task = find(task.pk, actor)
        finally:
            listener.close()
        return as_dict(task)

    def list_artifacts(self, task_id: UUID | str, *, actor: Actor | None = None) -> list[dict[str, Any]]:
        """The files that the task produced, by path; of a path that was kept twice, the newer."""
        task = find(task_id, actor or local_actor())
        newest = {row.path: row for row in task.artifacts.order_by("id")}
        return [_artifact_dict(newest[path]) for path in sorted(newest)]

    def read_artifact(
        self, task_id: UUID | str, artifact_id: UUID | str, *, actor: Actor | None = None
    ) -> bytes:
        """The kept content of one artifact."""
        task = find(task_id, actor or local_actor())
        key = as_uuid(artifact_id)
        row = task.artifacts.filter(pk=key).first() if key else None
        if row is None:
            raise NotFound(f"Task {task.pk} has no artifact {artifact_id!s:.80}.")
        with artifact_store.open_stored(row.sha256) as file:
            return file.read()

    def _create(self, task: Task, trace: Trace, on_busy: OnBusy, actor: Actor) -> None:
        if on_busy != "enqueue":
            active = Task.objects.filter(trace=trace, status__in=LEASED).first()
            if active is not None and on_busy == "reject":
                raise Busy(
                    f"Trace {trace.pk} is busy with task {active.pk}, which is {active.status}.",
                    hint="Wait for it, submit with on_busy=enqueue, or use another trace.",
                    reason=str(active.status),
                    active_task_id=str(active.pk),
                )
            if active is not None:
                _cancel(active, actor.name, Reason.SUPERSEDED, "")
        if on_busy == "interrupt":
            task.position = _place_ahead(trace)
        Trace.objects.filter(pk=trace.pk).update(last_position=F("last_position") + 1)
        transitions.create(task)


def _place_ahead(trace: Trace) -> int:
    """Move the trace's pending tasks one place back each; returns the place that is free before them."""
    free = trace.last_position + 1
    waiting = Task.objects.pending().filter(trace=trace).order_by("-position")
    for key, position in waiting.values_list("pk", "position"):
        Task.objects.filter(pk=key).update(position=free)
        free = position
    return free


def find(task_id: UUID | str, actor: Actor) -> Task:
    """The row of a task that the actor may see; else ``TaskNotFound``."""
    key = as_uuid(task_id)
    rows = Task.objects.for_actor(actor).select_related("agent_type", "agent_version")
    row = rows.filter(pk=key).first() if key else None
    if row is None:
        raise TaskNotFound(f"There is no task {task_id!s:.80}.")
    return row


def _checked(
    description: str, input: Any, priority: int, run_at: datetime | None, labels: dict[str, str] | None
) -> dict[str, Any]:
    now = timezone.now()
    if input is not None:
        input_rules.json_value(input, "input", maximum_bytes=MAX_INPUT_BYTES)
    return {
        "description": input_rules.text(description, "description", maximum=MAX_DESCRIPTION, required=True),
        "input": input,
        "priority": input_rules.whole(priority, "priority", low=-100, high=100),
        "labels": input_rules.labels(labels),
        "created_at": now,
        "run_at": now if run_at is None else _due(run_at),
    }


def _due(run_at: Any) -> datetime:
    if not isinstance(run_at, datetime) or timezone.is_naive(run_at):
        raise input_rules.refuse("run_at", "must be a time with a time zone.", "Use datetime.now(UTC) + …")
    try:
        return run_at.astimezone(UTC)
    except OverflowError:
        raise input_rules.refuse("run_at", "lies outside the years 1 to 9999.") from None


def _refuse_closed(trace: Trace) -> None:
    if trace.closed_at is not None:
        raise Conflict(
            f"Trace {trace.pk} was closed at {iso(trace.closed_at)} and takes no more tasks.",
            hint="Create another trace.",
            current_status="closed",
        )
    if trace.workspace.status != Workspace.Status.ACTIVE:
        raise Conflict(
            f"The workspace '{trace.workspace_id}' is {trace.workspace.status} and takes no more tasks.",
            hint="Restore it, or use another one.",
            current_status=trace.workspace.status,
        )


def _rules_of(trace: Trace) -> tuple[dict[str, Any], dict[str, Any]]:
    version = trace.agent_type.active_version
    if version is None:
        raise NotReady(
            f"The agent type '{trace.agent_type_id}' has no version that can run: {trace.agent_type.problem}",
            hint="Mend its file in config/agents and run `python manage.py config reload`.",
        )
    return version.config["limits"], version.config["input_schema"]


def _timeout(value: float | None, limits: dict[str, Any]) -> float:
    if value is None:
        return float(limits["timeout_seconds"])
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= MAX_TIMEOUT_SECONDS:
        raise input_rules.refuse(
            "timeout_seconds", f"must be from 0 to {MAX_TIMEOUT_SECONDS:,}, not {value!r}."
        )
    return float(value)


def _attempts(value: int | None, limits: dict[str, Any]) -> int:
    if value is None:
        return int(limits["max_attempts"])
    return input_rules.whole(value, "max_attempts", low=1, high=100)


def _statuses(status: str | Iterable[str]) -> Sequence[str]:
    wanted = [status] if isinstance(status, str) else list(status)
    unknown = sorted(set(wanted) - set(TaskStatus.values))
    if unknown:
        raise input_rules.refuse("status", f"{unknown[0]!r} is none.", f"Use {', '.join(TaskStatus.values)}.")
    return wanted


def _cancel(task: Task, actor: str, reason: Reason, note: str) -> None:
    """Cancel by whichever way the task's present state offers; a final task stays as it is."""
    data = {"note": note} if note else {}
    common: dict[str, Any] = {"task_id": task.pk, "actor": actor, "reason": reason, "data": data}
    for _ in range(10):  # the state may change between looking and swapping; each round looks again
        task.refresh_from_db(fields=["status", "lease_token", "attempt"])
        if task.status in FINAL or task.status == TaskStatus.CANCELLING:
            return
        if task.status == TaskStatus.PENDING:
            wanted = Move(to=TaskStatus.CANCELLED, sources=frozenset({TaskStatus.PENDING}), **common)
        else:
            asked_at = {"cancel_requested_at": timezone.now()}
            wanted = Move(to=TaskStatus.CANCELLING, token=task.lease_token, columns=asked_at, **common)
        with contextlib.suppress(Conflict, LeaseLost), transaction.atomic():
            transitions.move(wanted)
            _end_if_dead(task, actor)
            return
    raise Conflict(f"Task {task.pk} keeps changing.", hint="Try again.", current_status=str(task.status))


def _end_if_dead(task: Task, actor: str) -> None:
    """If nobody is left to confirm the cancellation, confirm it here."""
    if task.lease_token is None:
        return
    live = Attempt.objects.filter(token=task.lease_token, ended_at=None).first()
    if live is not None and _is_dead(live):
        leases.finish([leases.Ending(task.lease_token, task.pk, Attempt.Outcome.CANCELLED, actor)])


def _is_dead(live: Attempt) -> bool:
    if live.host == kernel.host_id() and live.pid is not None and not kernel.is_alive(live.pid):
        return True
    return live.lease_until < database_clock.now()


def _artifact_dict(row: Artifact) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "path": row.path,
        "title": row.title,
        "media_type": row.media_type,
        "size": row.size,
        "sha256": row.sha256,
        "created_at": iso(row.created_at),
    }
