"""The verbs on tasks: what they refuse and how to mend it, cancel, retry, follow, wait, files."""

from __future__ import annotations

import math
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from django.utils import timezone as django_timezone

from executor import agent_events, artifact_store, transitions
from executor.models import Artifact, Attempt, Task, TaskEvent
from executor.states import TaskStatus
from executor.transitions import Move
from gateway.errors import (
    Busy,
    Conflict,
    GatewayError,
    InvalidInput,
    NotAllowed,
    NotFound,
    NotReady,
    TaskNotFound,
    TraceNotFound,
)
from lifecycle.actors import Actor
from lifecycle.models import AgentType, Workspace
from lifecycle.trace_manager import TraceManager
from lifecycle.workspace_manager import WorkspaceManager
from tests import make
from tests.threads import together

pytestmark = pytest.mark.django_db
manager = make.manager
NOBODY = UUID("01a21202-8f2c-7000-8000-000000000000")


def submit(**fields) -> str:
    trace = fields.pop("trace", None) or make.a_trace()
    description = fields.pop("description", "Say hello")
    return manager.submit_task(trace.pk, description, actor=make.ANNA, **fields)


# --- Submitting --------------------------------------------------------------------------------------------


def test_a_submitted_task_is_shown_as_it_was_given():
    due = datetime(2031, 1, 2, 3, 4, 5, tzinfo=UTC)
    trace = make.a_trace()

    task_id = submit(
        trace=trace, description="  分析销售数据 ", input={"a": [1, None]}, priority=7, run_at=due,
        timeout_seconds=12.5, max_attempts=2, labels={"team": "sales"},
    )  # fmt: skip

    task = manager.get_task(task_id)
    expected = {
        "id": task_id, "trace_id": str(trace.pk), "workspace_id": "user_001", "agent_type": "echo",
        "agent_version": None, "description": "分析销售数据", "input": {"a": [1, None]}, "status": "pending",
        "reason": None, "priority": 7, "run_at": "2031-01-02T03:04:05.000Z", "started_at": None,
        "finished_at": None, "attempt": 0, "max_attempts": 2, "progress": None, "result": None, "error": None,
        "last_seq": 1, "labels": {"team": "sales"}, "actor": "anna", "schedule_id": None,
        "parent_task_id": None, "retry_of": None, "asks": [], "url": f"/t/{task_id}",
        "usage": {"input_tokens": 0, "output_tokens": 0, "cost": None, "currency": None},
    }  # fmt: skip
    assert {key: task[key] for key in expected} == expected
    assert set(task) - set(expected) == {"created_at", "blocked_by"}
    assert Task.objects.get().timeout_seconds == 12.5


def test_what_is_not_given_comes_from_the_agent_type():
    make.an_agent_type(timeout_seconds=33, max_attempts=5)

    task = make.a_task()

    assert (task.timeout_seconds, task.max_attempts, task.priority) == (33, 5, 0)
    assert task.run_at == task.created_at


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"description": ""}, "description", "must not be empty"),
        ({"description": " \n\t "}, "description", "must not be empty"),
        ({"description": "长" * 32_769}, "description", "32,769 characters; at most 32,768"),
        ({"description": "a\x00b"}, "description", "NUL"),
        ({"description": "\ud800"}, "description", "surrogate"),
        ({"description": 5}, "description", "must be text, not int"),
        ({"description": None}, "description", "must be text, not NoneType"),
        ({"input": {"x": math.nan}}, "input", "nan"),
        ({"input": {"x": math.inf}}, "input", "inf"),
        ({"input": {"x": b"bytes"}}, "input", "bytes, which is not JSON"),
        ({"input": {1: 2}}, "input", "a key that is not text"),
        ({"input": ["\x00"]}, "input", "NUL"),
        ({"input": {"\ud800": 1}}, "input", "surrogate"),
        ({"input": "x" * 1_048_576}, "input", "1,048,578 bytes as JSON; at most 1,048,576"),
        ({"input": 10**200}, "input", "too large"),
        ({"priority": 101}, "priority", "-100 to 100, not 101"),
        ({"priority": -101}, "priority", "-100 to 100"),
        ({"priority": 1.5}, "priority", "whole number"),
        ({"priority": True}, "priority", "whole number"),
        ({"priority": "high"}, "priority", "not 'high'"),
        ({"run_at": datetime(2031, 1, 1)}, "run_at", "time zone"),  # noqa: DTZ001
        ({"run_at": "tomorrow"}, "run_at", "time zone"),
        ({"run_at": datetime.max.replace(tzinfo=timezone(-timedelta(hours=5)))}, "run_at", "9999"),
        ({"timeout_seconds": -1}, "timeout_seconds", "from 0 to 2,592,000, not -1"),
        ({"timeout_seconds": math.nan}, "timeout_seconds", "from 0"),
        ({"timeout_seconds": 2_592_001}, "timeout_seconds", "from 0"),
        ({"timeout_seconds": "60"}, "timeout_seconds", "not '60'"),
        ({"timeout_seconds": True}, "timeout_seconds", "from 0"),
        ({"max_attempts": 0}, "max_attempts", "from 1 to 100"),
        ({"max_attempts": 101}, "max_attempts", "from 1 to 100"),
        ({"max_attempts": 2.0}, "max_attempts", "whole number"),
        ({"labels": ["a"]}, "labels", "must be an object"),
        ({"labels": {"": "x"}}, "labels", "must not be empty"),
        ({"labels": {"k" * 65: "x"}}, "labels", "at most 64"),
        ({"labels": {"k": "v" * 257}}, "labels.k", "at most 256"),
        ({"labels": {"k": 1}}, "labels.k", "must be text, not int"),
        ({"labels": {1: "v"}}, "labels", "must be text, not int"),
        ({"labels": {str(n): "x" for n in range(33)}}, "labels", "33 entries; at most 32"),
        ({"on_busy": "explode"}, "on_busy", "enqueue, reject or interrupt"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_bad_field_is_refused_by_name(fields, field, says):
    trace = make.a_trace()

    with pytest.raises(InvalidInput) as refused:
        submit(trace=trace, **fields)

    assert refused.value.errors[0]["field"] == field
    assert says in refused.value.message
    assert not Task.objects.exists()


def test_an_input_that_is_nested_too_deep_is_refused():
    value: list = []
    for _ in range(70):
        value = [value]

    with pytest.raises(InvalidInput, match="nested deeper than 64"):
        submit(input=value)


def test_the_edges_are_allowed():
    submit(
        description="长" * 32_768, input="x" * 1_048_574, priority=-100, timeout_seconds=0, max_attempts=100,
        labels={"k" * 64 if n == 0 else str(n): "v" * 256 for n in range(32)},
    )  # fmt: skip

    assert Task.objects.get().timeout_seconds == 0


SCHEMA = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string"}, "rows": {"type": "integer"}},
}


@pytest.mark.parametrize(
    ("input", "field", "says"),
    [
        ({}, "input", "'file' is a required property"),
        (None, "input", "'file' is a required property"),
        ([], "input", "is not of type 'object'"),
        ({"file": "a", "rows": "many"}, "input.rows", "'many' is not of type 'integer'"),
    ],
)
def test_an_input_that_its_type_does_not_take_is_refused(input, field, says):
    make.an_agent_type(input_schema=SCHEMA)

    with pytest.raises(InvalidInput) as refused:
        submit(input=input)

    [error] = refused.value.errors
    assert error["field"] == field
    assert says in error["message"]
    assert "input_schema" in refused.value.hint


def test_every_problem_of_an_input_is_named():
    make.an_agent_type(input_schema=SCHEMA)

    with pytest.raises(InvalidInput) as refused:
        submit(input={"file": 1, "rows": "x"})

    assert {error["field"] for error in refused.value.errors} == {"input.file", "input.rows"}


@pytest.mark.parametrize("schema", [{"$ref": "#/nowhere"}, {"$ref": "http://127.0.0.1:9/schema.json"}])
def test_a_schema_that_leads_nowhere_is_the_agent_types_fault_and_says_so(schema):
    make.an_agent_type(input_schema=schema)

    with pytest.raises(NotReady, match="input_schema"):
        submit(input={"a": 1})


@pytest.mark.parametrize("trace_id", [NOBODY, str(NOBODY), "not an id", "", None, 7, "\x00"])
def test_an_unknown_trace_is_not_found(trace_id):
    with pytest.raises(TraceNotFound) as refused:
        manager.submit_task(trace_id, "hello")

    assert refused.value.errors[0]["field"] == "trace_id"
    assert "create_trace" in refused.value.hint


def test_a_closed_trace_takes_no_more_tasks():
    trace = make.a_trace()
    TraceManager().close_trace(trace.pk)

    with pytest.raises(Conflict, match="was closed at") as refused:
        submit(trace=trace)

    assert refused.value.data["current_status"] == "closed"
    assert refused.value.hint


def test_an_archived_workspace_takes_no_more_tasks():
    trace = make.a_trace()
    Workspace.objects.update(status="archived")

    with pytest.raises(Conflict, match="archived") as refused:
        submit(trace=trace)

    assert refused.value.data["current_status"] == "archived"


def test_a_type_that_never_had_a_good_version_says_what_is_wrong_with_it():
    trace = make.a_trace()
    AgentType.objects.update(active_version=None, problem="echo.yaml: runner is missing")

    with pytest.raises(NotReady, match=r"echo\.yaml: runner is missing") as refused:
        submit(trace=trace)

    assert "config reload" in refused.value.hint


def test_a_disabled_type_takes_tasks_and_says_why_they_do_not_run():
    task_id = submit(trace=make.a_trace(agent_type=make.an_agent_type("asleep", enabled=False)))

    assert manager.get_task(task_id)["blocked_by"]["code"] == "agent_type_disabled"


@pytest.mark.parametrize(
    "verb",
    [
        lambda task, actor: manager.submit_task(task.trace_id, "more", actor=actor),
        lambda task, actor: manager.cancel_task(task.pk, actor=actor),
        lambda task, actor: manager.retry_task(task.pk, actor=actor),
    ],
    ids=["submit", "cancel", "retry"],
)
def test_a_verb_that_changes_something_needs_the_scope(verb):
    task = make.a_task()

    with pytest.raises(NotAllowed, match="lacks the scope 'submit'"):
        verb(task, Actor.limited("reader", ["read"], None))


def test_tasks_of_a_trace_are_numbered_even_when_submitted_at_once():
    task = make.a_task()
    for _ in range(3):
        make.a_task(task.trace)

    assert list(Task.objects.order_by("id").values_list("position", flat=True)) == [1, 2, 3, 4]


@pytest.mark.django_db(transaction=True)
def test_submits_to_one_trace_at_the_same_moment_all_succeed():
    trace = make.a_trace()

    together(*[lambda: [submit(trace=trace) for _ in range(10)]] * 4)

    assert sorted(Task.objects.values_list("position", flat=True)) == list(range(1, 41))


# --- on_busy -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_busy", ["enqueue", "reject", "interrupt"])
def test_an_idle_trace_takes_a_task_whatever_is_asked(on_busy):
    assert manager.get_task(submit(on_busy=on_busy))["status"] == "pending"


@pytest.mark.parametrize("status", [TaskStatus.RUNNING, TaskStatus.WAITING, TaskStatus.CANCELLING])
def test_a_busy_trace_refuses_a_task_that_does_not_want_to_queue(status):
    task, _ = make.a_claimed_task()
    if status != TaskStatus.RUNNING:
        transitions.move(Move(task.pk, status, "tests"))

    with pytest.raises(Busy) as refused:
        submit(trace=task.trace, on_busy="reject")

    assert refused.value.data == {"reason": status, "active_task_id": str(task.pk)}
    assert Task.objects.count() == 1


def test_a_task_that_queues_waits_behind_the_active_one():
    task, _ = make.a_claimed_task()

    second = manager.get_task(submit(trace=task.trace))

    assert second["blocked_by"] is not None
    assert second["blocked_by"]["code"] == "trace_busy"


def test_an_interrupting_task_supersedes_the_active_one():
    task, claim = make.a_claimed_task()

    second = submit(trace=task.trace, on_busy="interrupt")

    assert (make.fresh(task).status, make.fresh(task).reason) == ("cancelling", "superseded")
    make.finish(claim, Attempt.Outcome.CANCELLED)
    assert make.fresh(task).reason == "superseded"
    assert [str(one.task_id) for one in make.claims()] == [second]


def test_an_interrupting_task_goes_before_those_that_queue():
    task, claim = make.a_claimed_task()
    queued = [submit(trace=task.trace) for _ in range(3)]

    urgent = submit(trace=task.trace, on_busy="interrupt")

    make.finish(claim, Attempt.Outcome.CANCELLED)
    order = []
    while some := make.claims():
        order += [str(one.task_id) for one in some]
        make.finish(some[0])
    assert order == [urgent, *queued]


# --- Cancelling --------------------------------------------------------------------------------------------


def test_a_pending_task_is_cancelled_at_once():
    task = make.a_task()

    after = manager.cancel_task(task.pk, reason="changed my mind", actor=make.ANNA)

    assert (after["status"], after["reason"]) == ("cancelled", "requested")
    assert TaskEvent.objects.get(type="task.cancelled").data == {
        "actor": "anna", "reason": "requested", "note": "changed my mind",
    }  # fmt: skip


@pytest.mark.parametrize("status", [TaskStatus.RUNNING, TaskStatus.WAITING])
def test_an_active_task_is_asked_to_stop(status):
    task, claim = make.a_claimed_task()
    if status == TaskStatus.WAITING:
        transitions.move(Move(task.pk, status, "tests"))

    after = manager.cancel_task(task.pk)

    assert (after["status"], after["reason"]) == ("cancelling", "requested")
    assert make.fresh(task).cancel_requested_at is not None
    make.finish(claim, Attempt.Outcome.CANCELLED)
    assert manager.get_task(task.pk)["status"] == "cancelled"


def test_asking_twice_changes_nothing():
    task, _ = make.a_claimed_task()
    first = manager.cancel_task(task.pk, actor=make.ANNA)

    assert manager.cancel_task(task.pk, actor=Actor("boris")) == first
    assert make.event_types(task).count("task.cancelling") == 1


@pytest.mark.parametrize("outcome", ["completed", "error"])
def test_a_final_task_stays_as_it_is(outcome):
    task, claim = make.a_claimed_task()
    make.finish(claim, outcome)
    before = manager.get_task(task.pk)

    assert manager.cancel_task(task.pk) == before


def test_a_task_whose_lease_ran_out_is_cancelled_at_once():
    task, _ = make.a_claimed_task()
    Attempt.objects.update(lease_until=django_timezone.now() - timedelta(seconds=1))

    after = manager.cancel_task(task.pk)

    assert (after["status"], after["reason"]) == ("cancelled", "requested")
    assert Attempt.objects.get().outcome == "cancelled"


def test_a_task_that_waits_for_its_retry_is_cancelled_at_once():
    make.an_agent_type(retry_on=["error"])
    task, claim = make.a_claimed_task()
    make.finish(claim, "error")

    assert manager.cancel_task(task.pk)["status"] == "cancelled"


@pytest.mark.parametrize(("reason", "says"), [("x" * 1001, "at most 1,000"), ("\x00", "NUL"), (3, "text")])
def test_a_reason_that_cannot_be_stored_is_refused(reason, says):
    task = make.a_task()

    with pytest.raises(InvalidInput, match=says):
        manager.cancel_task(task.pk, reason=reason)

    assert make.fresh(task).status == "pending"


@pytest.mark.parametrize("task_id", [NOBODY, "nonsense", None, ""])
@pytest.mark.parametrize(
    "verb",
    ["get_task", "cancel_task", "retry_task", "list_events", "wait", "list_artifacts"],
)
def test_an_unknown_task_is_not_found(verb, task_id):
    with pytest.raises(TaskNotFound, match="There is no task") as refused:
        getattr(manager, verb)(task_id)

    assert refused.value.hint


@pytest.mark.django_db(transaction=True)
def test_a_cancel_can_wait_for_the_worker():
    task, claim = make.a_claimed_task()

    def confirm():
        deadline = time.monotonic() + 30
        while make.fresh(task).status != "cancelling":
            assert time.monotonic() < deadline
        make.finish(claim, Attempt.Outcome.CANCELLED)

    after, _ = together(lambda: manager.cancel_task(task.pk, wait=30, actor=make.ANNA), confirm)

    assert after is not None
    assert after["status"] == "cancelled"


# --- Retrying ----------------------------------------------------------------------------------------------


def a_finished_task(**fields) -> Task:
    task, claim = make.a_claimed_task(**fields)
    make.finish(claim)
    return make.fresh(task)


def test_a_retry_is_a_new_task_of_the_same_trace():
    old = a_finished_task(
        description="Count", input={"n": 1}, priority=5, labels={"a": "b"}, timeout_seconds=9, max_attempts=2
    )

    new = make.fresh(Task.objects.get(pk=manager.retry_task(old.pk, actor=Actor("boris"))))

    assert (new.retry_of_id, new.trace_id, new.position) == (old.pk, old.trace_id, 2)
    assert (new.description, new.input, new.priority, new.labels) == ("Count", {"n": 1}, 5, {"a": "b"})
    assert (new.timeout_seconds, new.max_attempts, new.actor) == (9, 2, "boris")
    assert (new.status, new.attempt) == ("pending", 0)
    assert make.fresh(old).status == "completed"


def test_a_retry_may_have_another_input():
    old = a_finished_task(input={"n": 1})

    assert manager.get_task(manager.retry_task(old.pk, input={"n": 2}))["input"] == {"n": 2}


def test_another_input_must_fit_the_type_too():
    old = a_finished_task()
    make.an_agent_type(input_schema=SCHEMA)

    with pytest.raises(InvalidInput, match="'file' is a required property"):
        manager.retry_task(old.pk, input={})


@pytest.mark.parametrize("status", ["pending", "running", "cancelling"])
def test_only_a_final_task_can_be_retried(status):
    task = make.a_task()
    if status != "pending":
        make.a_claim(task)
    if status == "cancelling":
        manager.cancel_task(task.pk)

    with pytest.raises(Conflict) as refused:
        manager.retry_task(task.pk)

    assert refused.value.data["current_status"] == status


def test_a_closed_trace_takes_no_retry():
    old = a_finished_task()
    TraceManager().close_trace(old.trace_id)

    with pytest.raises(Conflict):
        manager.retry_task(old.pk)


# --- Lists -------------------------------------------------------------------------------------------------


def test_tasks_are_listed_newest_first():
    tasks = [make.a_task() for _ in range(4)]

    assert [task["id"] for task in manager.list_tasks(limit=3)] == [str(one.pk) for one in tasks[:0:-1]]


def test_lists_are_filtered():
    done = a_finished_task()
    other = make.a_task(make.a_trace("other", "echo"))
    typed = make.a_task(make.a_trace(agent_type=make.an_agent_type("Typed")))

    def ids(**filters) -> set[str]:
        return {task["id"] for task in manager.list_tasks(**filters)}

    assert ids(trace_id=done.trace_id) == {str(done.pk)}
    assert ids(workspace_id="OTHER") == {str(other.pk)}
    assert ids(agent_type="tYPED") == {str(typed.pk)}
    assert ids(status="completed") == {str(done.pk)}
    assert ids(status=["completed", "pending"]) == {str(one.pk) for one in (done, other, typed)}
    assert ids(status="failed") == set()


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ({"limit": 0}, "from 1 to 200"),
        ({"limit": 201}, "from 1 to 200"),
        ({"limit": "x"}, "from 1 to 200"),
        ({"status": "done"}, "Use pending, running"),
        ({"status": ["pending", "done"]}, "'done' is none"),
    ],
)
def test_a_bad_filter_is_refused(filters, says):
    with pytest.raises(InvalidInput) as refused:
        manager.list_tasks(**filters)

    assert says in str(refused.value)


@pytest.mark.parametrize("name", ["\x00", "\ud800", "x" * 5000, "nobody"])
def test_a_filter_that_matches_nothing_lists_nothing(name):
    make.a_task()

    assert manager.list_tasks(workspace_id=name) == []
    assert manager.list_tasks(agent_type=name) == []


# --- Following ---------------------------------------------------------------------------------------------


def test_events_are_listed_from_a_cursor():
    task, claim = make.a_claimed_task()
    agent_events.record({claim.token: [{"type": "log", "message": str(n)} for n in range(4)]})

    assert [event["seq"] for event in manager.list_events(task.pk)] == [1, 2, 3, 4, 5, 6]
    assert [event["seq"] for event in manager.list_events(task.pk, after=-1, limit=2)] == [1, 2]
    assert [event["seq"] for event in manager.list_events(task.pk, after=4)] == [5, 6]
    assert manager.list_events(task.pk, after=6) == []


@pytest.mark.parametrize(
    "options", [{"limit": 0}, {"limit": 1001}, {"after": -2}, {"after": "1"}, {"after": 2**40}]
)
def test_a_cursor_that_is_none_is_refused(options):
    with pytest.raises(InvalidInput):
        manager.list_events(make.a_task().pk, **options)


def test_nothing_comes_after_the_end_so_nobody_waits_for_it():
    task = a_finished_task()

    assert manager.list_events(task.pk, after=3, wait=60) == []


def test_a_wait_that_is_over_returns_nothing():
    task = make.a_task()

    assert manager.list_events(task.pk, after=1, wait=0.01) == []


@pytest.mark.django_db(transaction=True)
def test_a_waiting_reader_gets_the_next_event():
    task, claim = make.a_claimed_task()
    waiting = threading.Event()

    def read():
        waiting.set()
        return manager.list_events(task.pk, after=2, wait=60, actor=make.ANNA)

    def say():
        waiting.wait(30)
        agent_events.record({claim.token: [{"type": "log", "message": "news"}]})

    found, _ = together(read, say)

    assert found is not None
    assert [event["data"]["message"] for event in found] == ["news"]


@pytest.mark.django_db(transaction=True)
def test_waiting_for_a_task_ends_with_it():
    task, claim = make.a_claimed_task()

    after, _ = together(
        lambda: manager.wait(task.pk, timeout=60, actor=make.ANNA), lambda: make.finish(claim, result="done")
    )

    assert (after["status"], after["result"]) == ("completed", "done")  # type: ignore[index]


def test_waiting_ends_with_its_time():
    assert manager.wait(make.a_task().pk, timeout=0)["status"] == "pending"
    assert manager.wait(make.a_task().pk, timeout=0.01)["status"] == "pending"


def test_waiting_for_a_final_task_returns_it_at_once():
    assert manager.wait(a_finished_task().pk)["status"] == "completed"


# --- Artifacts ---------------------------------------------------------------------------------------------


def keep(claim, path: str, content: bytes, title: str = "") -> dict:
    WorkspaceManager().upload_file(claim.workspace_id, path, content)
    kept = artifact_store.keep(claim.workspace_id, path, title)
    agent_events.record({claim.token: [{"type": "artifact", "kept": kept}]})
    return kept


def test_an_artifact_is_kept_as_it_was():
    task, claim = make.a_claimed_task()
    kept = keep(claim, "out/report.md", b"# one", "Report")
    WorkspaceManager().upload_file(claim.workspace_id, "out/report.md", b"# changed")

    [found] = manager.list_artifacts(task.pk)

    assert found == kept | {"created_at": found["created_at"]}
    assert (found["path"], found["title"], found["size"]) == ("out/report.md", "Report", 5)
    assert found["media_type"] == "text/markdown"
    assert manager.read_artifact(task.pk, found["id"]) == b"# one"
    assert TaskEvent.objects.get(type="artifact").data == kept


def test_of_a_path_that_was_kept_twice_the_newer_stands():
    task, claim = make.a_claimed_task()
    old = keep(claim, "b.txt", b"old")
    keep(claim, "a.txt", b"other")
    new = keep(claim, "b.txt", b"new")

    assert [one["path"] for one in manager.list_artifacts(task.pk)] == ["a.txt", "b.txt"]
    assert manager.list_artifacts(task.pk)[1]["id"] == new["id"]
    assert manager.read_artifact(task.pk, old["id"]) == b"old"


def test_the_same_bytes_are_stored_once():
    _, claim = make.a_claimed_task()

    assert keep(claim, "a.bin", b"same")["sha256"] == keep(claim, "b.bin", b"same")["sha256"]
    assert Artifact.objects.count() == 2


@pytest.mark.parametrize("artifact_id", [NOBODY, "nonsense", None])
def test_an_unknown_artifact_is_not_found(artifact_id):
    with pytest.raises(NotFound, match="has no artifact"):
        manager.read_artifact(make.a_task().pk, artifact_id)


def test_an_artifact_belongs_to_its_task():
    _, claim = make.a_claimed_task()
    kept = keep(claim, "a.txt", b"secret")

    with pytest.raises(NotFound):
        manager.read_artifact(make.a_task().pk, kept["id"])


@pytest.mark.parametrize("path", ["missing.txt", "../outside", "/etc/passwd", "", "folder"])
def test_what_is_no_file_of_the_workspace_cannot_be_kept(path):
    _, claim = make.a_claimed_task()
    WorkspaceManager().upload_file(claim.workspace_id, "folder/a.txt", b"x")

    with pytest.raises(GatewayError):
        artifact_store.keep(claim.workspace_id, path, "")
