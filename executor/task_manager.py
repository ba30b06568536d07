"""The verbs on tasks: every door (REST, admin, chat, SDK, a script) calls these, each with an actor."""

from __future__ import annotations

import contextlib
import time
from datetime import datetime
from typing import IO, Any, Literal, NotRequired
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from typing_extensions import TypedDict, Unpack

from executor import (
    artifact_store,
    database_clock,
    doorbell,
    events,
    kernel,
    leases,
    task_rules,
    transitions,
)
from executor.events import EventDict
from executor.models import Artifact, Attempt, Task
from executor.states import FINAL, LEASED, Reason, TaskStatus
from executor.task_dict import TaskDict, as_dict
from executor.task_query import TaskFilters, matching
from executor.transitions import Move
from gateway.errors import Busy, Conflict, GatewayError, LeaseLost, NotFound, TaskNotFound
from gateway.page import Page
from lifecycle import input_rules, input_schema, keyset, trace_manager
from lifecycle.actors import Actor, local_actor
from lifecycle.ids import as_uuid, new_id
from lifecycle.models import Trace
from lifecycle.times import iso

OnBusy = Literal["enqueue", "reject", "interrupt"]

MAX_BULK = 1_000
POLL_SECONDS = 1.0
"""A look without a ring while somebody waits."""


class ArtifactDict(TypedDict):
    """A file that a task produced; ``size`` in bytes."""

    id: str
    path: str
    title: str
    media_type: str
    size: int
    sha256: str
    created_at: str


class EventPage(TypedDict):
    """A part of a task's log."""

    items: list[EventDict]
    last_seq: int
    final: bool


class BulkResult(TypedDict):
    """What a bulk verb did; ``remaining`` match too and wait for the next call."""

    matched: int
    done: int
    skipped: list[dict[str, str]]
    remaining: int
    sample: NotRequired[list[str]]


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
        fields = task_rules.checked(task_description, input, priority, run_at, labels)
        with transaction.atomic():
            trace = trace_manager.find(trace_id, actor, lock=True)
            task_rules.refuse_closed(trace)
            limits, schema = task_rules.rules_of(trace)
            input_schema.check(input, schema, trace.agent_type_id)
            task = Task(
                id=new_id(),
                trace=trace,
                workspace_id=trace.workspace_id,
                agent_type_id=trace.agent_type_id,
                position=trace.last_position + 1,
                timeout_seconds=task_rules.timeout(timeout_seconds, limits),
                max_attempts=task_rules.attempts(max_attempts, limits),
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
        limit: int = 50,
        cursor: str | None = None,
        actor: Actor | None = None,
        **wanted: Unpack[TaskFilters],
    ) -> Page[TaskDict]:
        """Tasks that the actor may see, newest first; at most ``limit`` (1 to 200) a page."""
        rows = matching(actor or local_actor(), wanted).select_related("agent_type", "agent_version")
        return keyset.page(rows, as_dict, keys=("id",), limit=limit, cursor=cursor)

    def cancel_or_retry_many(
        self,
        action: Literal["cancel", "retry"],
        wanted: TaskFilters,
        *,
        dry_run: bool = False,
        actor: Actor | None = None,
    ) -> BulkResult:
        """Cancel or retry the tasks that match, at most 1,000 a call, each by its own verb.

        With ``dry_run`` nothing is done: ``matched`` counts, and ``sample`` shows the first ten.
        """
        actor = actor or local_actor()
        actor.require("submit")
        rows = matching(actor, wanted)
        # Only what the verb can act on: final tasks are not cancelled, unfinished ones not run again.
        rows = rows.exclude(status__in=FINAL) if action == "cancel" else rows.filter(status__in=FINAL)
        matched = rows.count()
        if dry_run:
            sample = [str(key) for key in rows.order_by("id").values_list("pk", flat=True)[:10]]
            return BulkResult(matched=matched, done=0, skipped=[], remaining=matched, sample=sample)
        done = 0
        skipped: list[dict[str, str]] = []
        for key in list(rows.order_by("id").values_list("pk", flat=True)[:MAX_BULK]):
            try:
                if action == "cancel":
                    self.cancel_task(key, actor=actor)
                else:
                    self.retry_task(key, actor=actor)
                done += 1
            except GatewayError as exc:
                skipped.append({"id": str(key), "reason": exc.message})
        return BulkResult(matched=matched, done=done, skipped=skipped, remaining=max(matched - MAX_BULK, 0))

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
            task_rules.refuse_closed(trace)
            fields = task_rules.checked(
                old.description, old.input if input is None else input, old.priority, None, old.labels
            )
            input_schema.check(fields["input"], task_rules.rules_of(trace)[1], trace.agent_type_id)
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
        task = find(task_id, actor)
        give_up_at = time.monotonic() + timeout if timeout is not None else float("inf")
        listener = doorbell.listen("news")
        try:
            while task.status not in FINAL and time.monotonic() < give_up_at:
                listener.wait(min(POLL_SECONDS, give_up_at - time.monotonic()))
                task = find(task.pk, actor)
        finally:
            listener.close()
        return as_dict(task)

    def list_artifacts(self, task_id: UUID | str, *, actor: Actor | None = None) -> list[ArtifactDict]:
        """The files that the task produced, by path; of a path that was kept twice, the newer."""
        task = find(task_id, actor or local_actor())
        newest = {row.path: row for row in task.artifacts.order_by("id")}
        return [_artifact_dict(newest[path]) for path in sorted(newest)]

    def read_events(
        self, task_id: UUID | str, *, after: int = 0, limit: int = 200, actor: Actor | None = None
    ) -> EventPage:
        """The events above ``after``, with the number of the latest and whether the task is final."""
        # The task first: an event that comes between the two reads is one that the caller asks for next.
        task = find(task_id, actor or local_actor())
        found = events.after(task.pk, after, limit)
        return {"items": found, "last_seq": task.last_seq, "final": task.status in FINAL}

    def open_artifact(
        self, task_id: UUID | str, artifact_id: UUID | str, *, actor: Actor | None = None
    ) -> tuple[ArtifactDict, IO[bytes]]:
        """One artifact and its kept content, open for reading; raise ``NotFound`` if there is none."""
        task = find(task_id, actor or local_actor())
        key = as_uuid(artifact_id)
        row = task.artifacts.filter(pk=key).first() if key else None
        if row is None:
            raise NotFound(f"Task {task.pk} has no artifact {artifact_id!s:.80}.")
        return _artifact_dict(row), artifact_store.open_stored(row.sha256)

    def read_artifact(
        self, task_id: UUID | str, artifact_id: UUID | str, *, actor: Actor | None = None
    ) -> bytes:
        """The kept content of one artifact, whole; see ``open_artifact`` for large ones."""
        _, file = self.open_artifact(task_id, artifact_id, actor=actor)
        with file:
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


def _artifact_dict(row: Artifact) -> ArtifactDict:
    return {
        "id": str(row.pk),
        "path": row.path,
        "title": row.title,
        "media_type": row.media_type,
        "size": row.size,
        "sha256": row.sha256,
        "created_at": iso(row.created_at),
    }
