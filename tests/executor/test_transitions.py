"""Moves of a task from status to status: the whole table, the fence, the event."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from executor import transitions
from executor.models import Attempt, Task, TaskEvent
from executor.states import FINAL, LEASED, MOVES, Reason, TaskStatus, sources_of
from executor.task_manager import TaskManager
from executor.transitions import Move, Start
from gateway.errors import Conflict, LeaseLost, TaskNotFound
from tests import make

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
S = TaskStatus


def a_task_that_is(status: TaskStatus) -> Task:
    """A task put into ``status`` by legal moves."""
    task = make.a_task()
    way = {
        S.PENDING: [],
        S.RUNNING: [S.RUNNING],
        S.WAITING: [S.RUNNING, S.WAITING],
        S.CANCELLING: [S.RUNNING, S.CANCELLING],
        S.COMPLETED: [S.RUNNING, S.COMPLETED],
        S.FAILED: [S.RUNNING, S.FAILED],
        S.CANCELLED: [S.CANCELLED],
    }[status]
    for step in way:
        if step == S.RUNNING:
            make.a_claim(task)
        elif step in (S.COMPLETED, S.FAILED):
            make.finish(claim_of(task), Attempt.Outcome.COMPLETED if step == S.COMPLETED else "error")
        else:
            transitions.move(Move(task.pk, step, "tests"))
    return make.fresh(task)


def claim_of(task: Task) -> make.Held:
    """The live attempt of a task."""
    row = make.fresh(task)
    assert row.lease_token is not None
    return make.Held(row.lease_token, row.pk)


@pytest.mark.bad_history  # tasks are started and ended here without the attempts that belong to it
@pytest.mark.parametrize(("source", "target"), list(product(S, S)))
def test_exactly_the_moves_of_the_table_are_made(source, target):
    task = a_task_that_is(source)
    lease = {"lease_token": task.lease_token or uuid4()} if target in LEASED else {}
    wanted = Move(task.pk, target, "tests", columns=lease)

    if target in MOVES[source]:
        transitions.move(wanted)
        after = make.fresh(task)
        assert (after.status, after.last_seq) == (target, task.last_seq + 1)
        assert (after.lease_token is not None) == (target in LEASED)
        assert (after.finished_at is not None) == (target in FINAL)
    else:
        with pytest.raises(Conflict) as refused:
            transitions.move(wanted)
        assert refused.value.data["current_status"] == source
        assert make.fresh(task).__dict__.keys() == task.__dict__.keys()
        assert (make.fresh(task).status, make.fresh(task).last_seq) == (source, task.last_seq)


def test_every_status_has_its_moves_and_a_final_one_has_none():
    assert set(MOVES) == set(S)
    assert {status for status, targets in MOVES.items() if not targets} == FINAL
    assert all(target in MOVES[source] for target in S for source in sources_of(target))


def test_a_new_task_is_pending_and_its_log_begins():
    task = make.a_task()

    [event] = TaskEvent.objects.filter(task=task)
    assert (task.status, task.last_seq, task.attempt) == ("pending", 1, 0)
    assert (event.seq, event.type, event.attempt) == (1, "task.submitted", 0)
    assert event.data == {"actor": "anna", "reason": None}
    assert event.at == task.created_at


def test_a_move_writes_its_event_with_actor_reason_and_data():
    task = make.a_task()

    transitions.move(Move(task.pk, S.CANCELLED, "boris", Reason.REQUESTED, data={"note": "too late"}))

    event = TaskEvent.objects.get(task=task, seq=2)
    assert event.type == "task.cancelled"
    assert event.data == {"actor": "boris", "reason": "requested", "note": "too late"}
    assert make.fresh(task).reason == "requested"


def test_a_task_that_does_not_exist_cannot_move():
    with pytest.raises(TaskNotFound):
        transitions.move(Move(uuid4(), S.CANCELLED, "tests"))


def test_a_move_with_another_attempts_token_changes_nothing():
    task, _ = make.a_claimed_task()

    with pytest.raises(LeaseLost):
        transitions.move(Move(task.pk, S.COMPLETED, "late worker", token=uuid4()))

    assert make.fresh(task).status == "running"
    assert make.event_types(task) == ["task.submitted", "task.started"]


def test_sources_narrow_where_a_move_may_come_from():
    task, _ = make.a_claimed_task()

    assert transitions.apply([Move(task.pk, S.CANCELLING, "tests", sources=frozenset({S.WAITING}))]) == [
        False
    ]
    assert make.fresh(task).status == "running"


def test_moves_of_one_batch_win_and_lose_each_for_itself():
    first, second = make.a_task(), make.a_task()
    transitions.move(Move(first.pk, S.CANCELLED, "boris", Reason.REQUESTED))

    won = transitions.apply(
        [Move(task.pk, S.CANCELLED, "anna", Reason.REQUESTED) for task in (first, second)]
    )

    assert won == [False, True]
    assert make.event_types(first) == make.event_types(second) == ["task.submitted", "task.cancelled"]


def test_a_move_that_keeps_the_reason_says_why_the_task_was_to_stop():
    task, claim = make.a_claimed_task()
    transitions.move(Move(task.pk, S.CANCELLING, "anna", Reason.SUPERSEDED))

    make.finish(claim, Attempt.Outcome.CANCELLED)

    assert make.fresh(task).reason == "superseded"
    assert TaskEvent.objects.get(task=task, type="task.cancelled").data["reason"] == "superseded"


def test_the_reason_of_a_retry_ends_with_the_next_start():
    task, claim = make.a_claimed_task(max_attempts=2)
    make.finish(claim, "worker_lost")
    assert make.fresh(task).reason == "retry"
    Task.objects.update(run_at=datetime(2020, 1, 1, tzinfo=UTC))

    make.a_claim(task)

    assert make.fresh(task).reason is None


@pytest.mark.bad_history
def test_tasks_are_started_all_or_none():
    first, second = make.a_task(), make.a_task()
    version = first.agent_type.active_version_id or 0
    transitions.move(Move(second.pk, S.CANCELLED, "anna"))

    with pytest.raises(Conflict):
        transitions.start([Start(one.pk, uuid4(), version) for one in (first, second)], actor="w")

    assert make.fresh(first).status == "pending"
    assert make.event_types(first) == ["task.submitted"]


def test_the_first_version_stays_through_later_attempts():
    kind = make.an_agent_type(retry_on=["error"], retry_delay_seconds=0)
    task = make.a_task(make.a_trace(agent_type=kind))
    make.finish(make.a_claim(task), "error")
    make.an_agent_type()

    again = make.a_claim(task)

    assert again.config.limits.retry_on == ["error"]
    assert TaskManager().get_task(task.pk)["agent_version"] == 1
    assert make.a_task(make.a_trace(agent_type=kind)).agent_version is None


def test_an_event_that_cannot_be_written_takes_the_move_back():
    task = make.a_task()
    TaskEvent.objects.create(
        task=task, seq=2, type="log", data={}, attempt=0, at=task.created_at
    )  # the number is taken

    with pytest.raises(IntegrityError), transaction.atomic():
        transitions.move(Move(task.pk, S.CANCELLED, "anna"))

    assert make.fresh(task).status == "pending"
    TaskEvent.objects.filter(task=task, seq=2).delete()


# --- Nobody else assigns a status ---------------------------------------------------------------------------


UPDATE = re.compile(r"UPDATE\s+executor_task\b", re.IGNORECASE)


def assignments_of_status(source: str) -> list[int]:
    """Return the lines of ``source`` that write a task's status, by attribute or by a queryset's update."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt | ast.expr):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Attribute) and target.attr == "status" for target in targets):
            lines.append(node.lineno)
        if isinstance(node, ast.Constant) and UPDATE.search(str(node.value)):
            lines.append(node.lineno)
        if isinstance(node, ast.Call) and _writes_rows(node.func):
            lines += [node.lineno for word in node.keywords if word.arg == "status" and not _is_span(word)]
    return lines


def _writes_rows(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in {"update", "create", "update_or_create", "get_or_create", "Task"}


def _is_span(word: ast.keyword) -> bool:
    return isinstance(word.value, ast.Attribute) and "Span" in ast.unparse(word.value)


def test_only_transitions_assign_a_tasks_status():
    writers = {
        path.relative_to(ROOT).as_posix(): lines
        for package in ("gateway", "gatewaysite", "lifecycle", "executor", "channels_app")
        for path in (ROOT / package).rglob("*.py")
        if "client" not in path.parts  # the SDK has no database
        and (lines := assignments_of_status(path.read_text(encoding="utf-8")))
    }
    others_with_a_status_of_their_own = {
        "executor/span_writer.py",
        "lifecycle/workspace_manager.py",
        "lifecycle/api/idempotency.py",  # of the stored answer
    }

    assert set(writers) - others_with_a_status_of_their_own == {"executor/transitions.py"}


@pytest.mark.parametrize(
    "line",
    [
        "task.status = 'completed'",
        "self.task.status: str = S.FAILED",
        "Task.objects.filter(pk=1).update(status=S.CANCELLED)",
        "Task.objects.create(status='running')",
        "Task(status='running').save()",
        "cursor.execute('UPDATE executor_task SET progress = 1')",
    ],
)
def test_an_assignment_of_status_is_found(line):
    assert assignments_of_status(line) == [1]


def test_reading_a_status_is_no_assignment():
    assert assignments_of_status("if task.status == S.FAILED: rows.filter(status='x')") == []
