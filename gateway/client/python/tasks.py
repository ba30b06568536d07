"""The verbs on tasks."""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Unpack, cast

from gateway.client.python.downloads import Progress, fetch, save
from gateway.client.python.paging import PAGE_ROWS, every, query_of
from gateway.client.python.problems import is_transient
from gateway.client.python.streams import EventStream
from gateway.client.python.transport import Call, Transport, delay, moment, segment
from gateway.client.python.types import Artifact, BulkResult, Event, EventPage, OnBusy, Task, TaskFilters
from gateway.errors import GatewayError
from gateway.page import Page

FINAL = frozenset({"completed", "failed", "cancelled"})
LONG_POLL_SECONDS = 60.0
LONG_POLL_EVENTS_SECONDS = 30.0


class TaskVerbs:
    """Submit, follow and stop tasks."""

    _http: Transport
    patience: float

    def submit_task(
        self,
        trace_id: str,
        task_description: str,
        *,
        input: Any = None,
        priority: int = 0,
        run_at: datetime | None = None,
        timeout_seconds: float | None = None,
        max_attempts: int | None = None,
        on_busy: OnBusy = "enqueue",
        labels: dict[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> str:
        """Give the trace's agent a task and return the task's id.

        ``run_at`` (aware) makes it due later; ``timeout_seconds`` bounds one attempt's running time (0: no
        limit), ``max_attempts`` its failed attempts; both default to the agent type's limits. ``on_busy``
        says what happens while another task of the trace is active: wait for it, ``Busy``, or cancel it.
        Raises ``InvalidInput``, ``TraceNotFound`` or ``Conflict`` (closed trace, archived workspace).
        """
        body = {
            "trace_id": str(trace_id),
            "description": task_description,
            "input": input,
            "priority": priority,
            "run_at": moment("run_at", run_at),
            "timeout_seconds": timeout_seconds,
            "max_attempts": max_attempts,
            "on_busy": on_busy,
            "labels": labels or {},
        }
        key = idempotency_key or new_key()
        return str(self._http.json(Call("POST", "/tasks", body=body, key=key))["id"])

    def get_task(self, task_id: str) -> Task:
        """The task as a dict; raise ``TaskNotFound`` if there is none that the key may see."""
        return cast("Task", self._http.json(Call("GET", _path(task_id))))

    def list_tasks(
        self, *, limit: int = 50, cursor: str | None = None, **wanted: Unpack[TaskFilters]
    ) -> Page[Task]:
        """Tasks, newest first; at most ``limit`` (1 to 200) a page, whose ``next_cursor`` leads on."""
        return Page(*self._http.page("/tasks", query_of(wanted), limit, cursor))

    def iterate_tasks(self, **wanted: Unpack[TaskFilters]) -> Iterator[Task]:
        """All tasks that match, newest first, asked for page by page."""
        return every(lambda cursor: self.list_tasks(limit=PAGE_ROWS, cursor=cursor, **wanted))

    def cancel_task(self, task_id: str, *, reason: str = "", wait: float = 0) -> Task:
        """Ask for the task to be stopped, and return it.

        A pending task is cancelled at once; a running one becomes ``cancelling`` until its worker confirms.
        ``wait`` seconds (at most 30) are given for that. A final task is returned unchanged.
        """
        body = {"reason": reason, "wait": wait}
        call = Call("POST", _path(task_id, "/cancel"), body=body, wait=wait, repeatable=True)
        return cast("Task", self._http.json(call))

    def retry_task(self, task_id: str, *, input: Any = None, idempotency_key: str | None = None) -> str:
        """Submit a final task again, as a new task of the same trace; returns the new id.

        ``input`` replaces the old input. Raises ``Conflict`` while the task is not final.
        """
        body = {} if input is None else {"input": input}
        call = Call("POST", _path(task_id, "/retry"), body=body, key=idempotency_key or new_key())
        return str(self._http.json(call)["id"])

    def cancel_or_retry_many(
        self, action: Literal["cancel", "retry"], wanted: TaskFilters, *, dry_run: bool = False
    ) -> BulkResult:
        """Cancel or retry the tasks that match, at most 1,000 a call, each by its own verb.

        With ``dry_run`` nothing is done: ``matched`` counts, and ``sample`` shows the first ten.
        """
        # Cancelling again does nothing; retrying again would run the tasks again.
        body = {"action": action, "filter": _bulk_filter(wanted), "dry_run": dry_run}
        call = Call("POST", "/tasks/bulk", body=body, repeatable=action == "cancel" or dry_run)
        return cast("BulkResult", self._http.json(call))

    def wait(self, task_id: str, timeout: float | None = None) -> Task:
        """The task once it is final, or as it is after ``timeout`` seconds (None: wait for ever).

        Goes on across restarts of the server; ``Unreachable`` after the client's ``patience``, or at the end
        of the time, if it cannot be asked.
        """
        give_up_at = _in(timeout)
        lost_since: float | None = None
        tries = 0
        while True:
            seconds = max(0.0, min(LONG_POLL_SECONDS, give_up_at - time.monotonic()))
            asked_at = time.monotonic()
            try:
                task = self._look(task_id, seconds)
            except GatewayError as exc:
                lost_since, tries = lost_since or asked_at, tries + 1
                now = time.monotonic()
                if not is_transient(exc) or now >= min(give_up_at, lost_since + self.patience):
                    raise
                pause = exc.data.get("retry_after", delay(tries, longest=5))
                time.sleep(max(0.0, min(pause, give_up_at - now)))
                continue
            lost_since, tries = None, 0
            if task["status"] in FINAL or time.monotonic() >= give_up_at:
                return task
            if time.monotonic() - asked_at < min(0.5, seconds):  # it answered without waiting
                time.sleep(min(0.5, max(0.0, give_up_at - time.monotonic())))

    def stream_events(
        self,
        task_id: str,
        after: int = 0,
        *,
        on_cut: Callable[[GatewayError], None] | None = None,
    ) -> EventStream:
        """The task's events with a number above ``after``, as they come, until the final one.

        Cuts and restarts of the server are mended without a gap or a repetition; ``on_cut`` hears of each.
        Raises ``TaskNotFound``, or ``Unreachable`` once the server was away for the client's ``patience``.
        """
        return EventStream(self._http, _path(task_id, "/stream"), after, self.patience, on_cut)

    def list_events(self, task_id: str, *, after: int = 0, limit: int = 200, wait: float = 0) -> list[Event]:
        """The task's events with a number above ``after``, in order, at most ``limit`` (1 to 1000).

        With ``wait`` (at most 30) it returns at the first new event, or with none after that many seconds.
        """
        return self.read_events(task_id, after=after, limit=limit, wait=wait)["items"]

    def read_events(self, task_id: str, *, after: int = 0, limit: int = 200, wait: float = 0) -> EventPage:
        """Like ``list_events``, with the number of the latest event and whether the task is final."""
        query: dict[str, Any] = {"after": after, "limit": limit}
        if wait:
            query["wait"] = min(wait, LONG_POLL_EVENTS_SECONDS)
        call = Call("GET", _path(task_id, "/events"), query=query, wait=wait)
        return cast("EventPage", self._http.json(call))

    def list_artifacts(self, task_id: str) -> list[Artifact]:
        """The files that the task produced, by path; of a path that was kept twice, the newer."""
        return cast("list[Artifact]", self._http.json(Call("GET", _path(task_id, "/artifacts")))["items"])

    def download_artifact(
        self, task_id: str, artifact_id: str, target: str | Path, *, progress: Progress | None = None
    ) -> Path:
        """Save an artifact as ``target`` (a file, or a folder to put it in) and return its path.

        The file appears whole or not at all, checked against its SHA-256.
        """
        path = _path(task_id, f"/artifacts/{segment(artifact_id, 'artifact_id')}")
        return save(self._http, path, Path(target), progress)

    def read_artifact(self, task_id: str, artifact_id: str) -> bytes:
        """The kept content of one artifact, whole; see ``download_artifact`` for large ones."""
        content = io.BytesIO()
        fetch(self._http, _path(task_id, f"/artifacts/{segment(artifact_id, 'artifact_id')}"), content)
        return content.getvalue()

    def share_task(self, task_id: str, *, expires_seconds: int | None = None) -> str:
        """A link to the task's live page for whoever has it; read-only, and only for a time."""
        body = {} if expires_seconds is None else {"expires_seconds": expires_seconds}
        call = Call("POST", _path(task_id, "/share"), body=body, repeatable=True)
        return str(self._http.json(call)["url"])

    def _look(self, task_id: str, seconds: float) -> Task:
        query = {"wait": f"{seconds:.3f}"} if seconds else {}
        response = self._http.response(Call("GET", _path(task_id), query=query, wait=seconds), retries=0)
        return cast("Task", self._http.parsed(response))


def new_key() -> str:
    """An ``Idempotency-Key``."""
    return uuid.uuid4().hex


def _path(task_id: str, rest: str = "") -> str:
    return f"/tasks/{segment(task_id, 'task_id')}{rest}"


def _in(seconds: float | None) -> float:
    return float("inf") if seconds is None else time.monotonic() + seconds


def _bulk_filter(wanted: TaskFilters) -> dict[str, Any]:
    given: dict[str, Any] = {
        name: value for name, value in query_of(wanted).items() if value not in (None, [])
    }
    for name in ("created_after", "created_before"):
        if name in given:
            given[name] = moment(name, given[name])
    if len(given.get("label", ())) == 1:
        given["label"] = given["label"][0]
    return given
