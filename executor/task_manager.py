"""The verbs on tasks: every door (REST, admin, chat, SDK, a script) calls these, each with an actor."""

from __future__ import annotations

import time
from datetime import datetime
from typing import IO, Any, Literal, NotRequired, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet
from typing_extensions import TypedDict, Unpack

from executor import (
    artifact_store,
    doorbell,
    events,
    task_rules,
    transitions,
)
from executor.artifact_dict import ArtifactDict, artifact_dict
from executor.cancellation import cancel
from executor.events import EventDict
from executor.models import Task
from executor.states import FINAL, LEASED, Reason
from executor.task_dict import TaskDict, as_dict
from executor.task_query import TaskFilters, matching
from gateway.errors import Busy, Conflict, GatewayError, NotFound, TaskNotFound
from gateway.page import Page
from lifecycle import input_rules, input_schema, keyset, trace_manager
from lifecycle.actors import Actor, local_actor
from lifecycle.ids import as_uuid, new_id
from lifecycle.models import Trace

OnBusy = Literal["enqueue", "reject", "interrupt"]
R = TypeVar("R")

MAX_BULK = 1_000
POLL_SECONDS = 1.0
"""A look without a ring while somebody waits."""


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


class Options(TypedDict, total=False):
    """What a submit may say besides trace and description; see ``TaskManager.submit_task``."""

    input: Any
    priority: int
    run_at: datetime | None
    timeout_seconds: float | None
    max_attempts: int | None
    on_busy: OnBusy
    labels: dict[str, str] | None


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
        options: Options = {
            "input": input,
            "priority": priority,
            "run_at": run_at,
            "timeout_seconds": timeout_seconds,
            "max_attempts": max_attempts,
            "on_busy": on_busy,
            "labels": labels,
        }
        return str(submit(trace_id, task_description, options, actor or local_actor()).pk)

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
        cancel(task, actor.name, Reason.REQUESTED, input_rules.text(reason, "reason", maximum=1000))
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
            _create(task, trace, "enqueue", actor)
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
        return self.read_events(task_id, after=after, limit=limit, wait=wait, actor=actor)["items"]

    def read_events(
        self,
        task_id: UUID | str,
        *,
        after: int = 0,
        limit: int = 200,
        wait: float = 0,
        actor: Actor | None = None,
    ) -> EventPage:
        """The same events, with the number of the latest one and whether the task is final."""
        input_rules.whole(limit, "limit", low=1, high=1000)
        input_rules.whole(after, "after", low=-1, high=2**31)
        actor = actor or local_actor()
        page = _read(task_id, after, limit, actor)
        if page["items"] or page["final"] or wait <= 0:
            return page
        give_up_at = time.monotonic() + wait
        listener = doorbell.listen("news")
        try:
            while True:  # once more at once: it may have come before we listened
                page = _read(task_id, after, limit, actor)
                left = give_up_at - time.monotonic()
                if page["items"] or page["final"] or left <= 0:
                    return page
                listener.wait(min(POLL_SECONDS, left))
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

    def list_artifacts(self, task_id: UUID | str, *, actor: Actor | None = None) -> list[ArtifactDict]:
        """The files that the task produced, by path; of a path that was kept twice, the newer."""
        task = find(task_id, actor or local_actor())
        newest = {row.path: row for row in task.artifacts.order_by("id")}
        return [artifact_dict(newest[path]) for path in sorted(newest)]

    def open_artifact(
        self, task_id: UUID | str, artifact_id: UUID | str, *, actor: Actor | None = None
    ) -> tuple[ArtifactDict, IO[bytes]]:
        """One artifact and its kept content, open for reading; raise ``NotFound`` if there is none."""
        task = find(task_id, actor or local_actor())
        key = as_uuid(artifact_id)
        row = task.artifacts.filter(pk=key).first() if key else None
        if row is None:
            raise NotFound(f"Task {task.pk} has no artifact {artifact_id!s:.80}.")
        return artifact_dict(row), artifact_store.open_stored(row.sha256)

    def read_artifact(
        self, task_id: UUID | str, artifact_id: UUID | str, *, actor: Actor | None = None
    ) -> bytes:
        """The kept content of one artifact, whole; see ``open_artifact`` for large ones."""
        _, file = self.open_artifact(task_id, artifact_id, actor=actor)
        with file:
            return file.read()


def submit(trace_id: UUID | str, description: str, options: Options, actor: Actor) -> Task:
    """Submit a task and return its row as it was made; see ``TaskManager.submit_task``."""
    actor.require("submit")
    on_busy = options.get("on_busy", "enqueue")
    if on_busy not in ("enqueue", "reject", "interrupt"):
        raise input_rules.refuse("on_busy", "must be enqueue, reject or interrupt.")
    value = options.get("input")
    fields = task_rules.checked(
        description, value, options.get("priority", 0), options.get("run_at"), options.get("labels")
    )
    with transaction.atomic():
        trace = trace_manager.find(trace_id, actor, lock=True)
        task_rules.refuse_closed(trace)
        limits, schema = task_rules.rules_of(trace)
        input_schema.check(value, schema, trace.agent_type_id)
        task = Task(
            id=new_id(),
            trace=trace,
            workspace_id=trace.workspace_id,
            agent_type=trace.agent_type,
            position=trace.last_position + 1,
            timeout_seconds=task_rules.timeout(options.get("timeout_seconds"), limits),
            max_attempts=task_rules.attempts(options.get("max_attempts"), limits),
            actor=actor.name,
            **fields,
        )
        _create(task, trace, on_busy, actor)
    return task


def _create(task: Task, trace: Trace, on_busy: OnBusy, actor: Actor) -> None:
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
            cancel(active, actor.name, Reason.SUPERSEDED, "")
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
    return _first(Task.objects.for_actor(actor).select_related("agent_type", "agent_version"), task_id)


def _read(task_id: UUID | str, after: int, limit: int, actor: Actor) -> EventPage:
    # The task first: what comes between the two reads is in the events, or is what the caller asks for next.
    rows = Task.objects.for_actor(actor).values_list("pk", "last_seq", "status")
    key, last_seq, status = _first(rows, task_id)
    found = events.after(key, after, limit)
    return {
        "items": found,
        "last_seq": max(last_seq, found[-1]["seq"]) if found else last_seq,
        "final": status in FINAL,
    }


def _first(rows: QuerySet[Any, R], task_id: UUID | str) -> R:
    key = as_uuid(task_id)
    found = next(iter(rows.filter(pk=key)), None) if key else None
    if found is None:
        raise TaskNotFound(f"There is no task {task_id!s:.80}.")
    return found
