"""The net below the verbs: the database itself refuses rows that must not be."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from executor.models import Attempt, Task, TaskEvent
from tests import make

pytestmark = [pytest.mark.django_db, pytest.mark.bad_history]
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def refuses(name: str):
    """The database refuses what the block does, by the constraint called ``name``."""
    return pytest.raises(IntegrityError, match=name)


def change(task: Task, **columns) -> None:
    with transaction.atomic():
        Task.objects.filter(pk=task.pk).update(**columns)


@pytest.mark.parametrize("status", ["running", "waiting", "cancelling"])
def test_an_active_task_has_a_lease(status):
    with refuses("task_has_lease_exactly_while_active"):
        change(make.a_task(), status=status)


@pytest.mark.parametrize("status", ["pending", "completed"])
def test_a_task_that_is_not_active_has_none(status):
    finished = {"finished_at": NOW} if status == "completed" else {}
    with refuses("task_has_lease_exactly_while_active"):
        change(make.a_task(), status=status, lease_token=uuid4(), **finished)


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_final_task_says_when_it_finished(status):
    with refuses("task_has_finished_at_exactly_when_final"):
        change(make.a_task(), status=status)


def test_an_unfinished_task_has_not_finished():
    with refuses("task_has_finished_at_exactly_when_final"):
        change(make.a_task(), finished_at=NOW)


@pytest.mark.parametrize("priority", [-101, 101])
def test_a_priority_is_from_minus_100_to_100(priority):
    with refuses("task_priority_range"):
        change(make.a_task(), priority=priority)


def test_a_trace_has_one_active_task_at_most():
    trace = make.a_trace()
    first, second = make.a_task(trace), make.a_task(trace)
    change(first, status="running", lease_token=uuid4())

    with refuses(r"one_active_task_per_trace|executor_task\.trace_id"):
        change(second, status="waiting", lease_token=uuid4())


def test_a_position_in_a_trace_is_taken_once():
    trace = make.a_trace()
    first, second = make.a_task(trace), make.a_task(trace)

    with refuses(r"task_position_in_trace|executor_task\.position"):
        change(second, position=first.position)


def an_attempt(task: Task, number: int, **columns) -> Attempt:
    with transaction.atomic():
        return Attempt.objects.create(
            task=task, number=number, token=columns.pop("token", uuid4()), worker="w", host="h",
            started_at=NOW, lease_until=NOW, **columns,
        )  # fmt: skip


def test_a_task_has_one_live_attempt_at_most():
    task = make.a_task()
    an_attempt(task, 1)

    with refuses(r"one_live_attempt_per_task|executor_attempt\.task_id"):
        an_attempt(task, 2)


def test_an_attempts_number_is_used_once():
    task = make.a_task()
    an_attempt(task, 1, ended_at=NOW, outcome="error")

    with refuses(r"attempt_number|executor_attempt\.number"):
        an_attempt(task, 1, ended_at=NOW, outcome="error")


def test_a_token_belongs_to_one_attempt():
    task, other, token = make.a_task(), make.a_task(), uuid4()
    an_attempt(task, 1, token=token)

    with refuses("token"):
        an_attempt(other, 1, token=token)


@pytest.mark.parametrize("columns", [{"ended_at": NOW}, {"outcome": "error"}])
def test_an_attempt_has_an_outcome_exactly_when_it_ended(columns):
    with refuses("attempt_has_outcome_exactly_when_ended"):
        an_attempt(make.a_task(), 1, **columns)


def an_event(task: Task, seq: int, type: str) -> None:
    with transaction.atomic():
        TaskEvent.objects.create(task=task, seq=seq, type=type, data={}, attempt=0, at=NOW)


def test_an_events_number_is_used_once():
    with refuses(r"event_seq_in_task|executor_taskevent\.seq"):
        an_event(make.a_task(), 1, "log")


@pytest.mark.parametrize("second", ["task.completed", "task.failed", "task.cancelled"])
def test_a_task_has_one_terminal_event_at_most(second):
    task = make.a_task()
    an_event(task, 2, "task.completed")

    with refuses(r"one_terminal_event_per_task|executor_taskevent\.task_id"):
        an_event(task, 3, second)


def test_a_task_with_a_trace_cannot_lose_it():
    task = make.a_task()

    with pytest.raises(IntegrityError), transaction.atomic():
        task.trace.delete()
