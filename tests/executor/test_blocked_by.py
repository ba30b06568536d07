"""Why a pending task is not running: the code, and a sentence that says what unblocks it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from executor.blocked_by import FRESH, workers_alive
from executor.models import Task, Worker
from lifecycle.models import AgentType
from tests import make

pytestmark = pytest.mark.django_db


def why(task: Task) -> str | None:
    blocked = make.manager.get_task(task.pk)["blocked_by"]
    if blocked is None:
        return None
    assert blocked["message"].endswith((".", "`.")), "it says so in a sentence"
    return blocked["code"]


def sentence(task: Task) -> str:
    blocked = make.manager.get_task(task.pk)["blocked_by"]
    assert blocked is not None
    return blocked["message"]


@pytest.fixture(autouse=True)
def live_worker() -> Worker:
    return Worker.objects.create(name="w", kind=Worker.Kind.RUNNER, host="h", pid=1)


def test_a_task_that_may_start_is_not_blocked():
    assert why(make.a_task()) is None


@pytest.mark.parametrize("outcome", ["completed", "error"])
def test_a_task_that_began_or_ended_is_not_blocked(outcome):
    task, claim = make.a_claimed_task()
    assert why(task) is None

    make.finish(claim, outcome)

    assert why(task) is None


def test_a_task_for_later_says_when():
    task = make.a_task(run_at=timezone.now() + timedelta(days=1))

    assert why(task) == "due_later"
    assert make.manager.get_task(task.pk)["run_at"] in sentence(task)


def test_a_retry_says_when_it_comes_and_what_failed():
    make.an_agent_type(retry_on=["error"], retry_delay_seconds=100)
    task, claim = make.a_claimed_task()
    make.finish(claim, "error")

    assert why(task) == "retry_later"
    assert "Attempt 1 failed" in sentence(task)


@pytest.mark.parametrize("active", ["running", "waiting", "cancelling", "pending", "retrying"])
def test_a_task_behind_another_names_it(active):
    make.an_agent_type(retry_on=["error"], retry_delay_seconds=100)
    ahead = make.a_task()
    behind = make.a_task(ahead.trace)
    if active != "pending":
        claim = make.a_claim(ahead)
    if active == "cancelling":
        make.manager.cancel_task(ahead.pk)
    if active == "retrying":
        make.finish(claim, "error")

    assert why(behind) == "trace_busy"
    assert str(ahead.pk) in sentence(behind)


def test_a_task_behind_one_for_later_is_not_blocked():
    ahead = make.a_task(run_at=timezone.now() + timedelta(days=1))

    assert why(make.a_task(ahead.trace)) is None


def test_a_disabled_type_is_named():
    task = make.a_task()
    AgentType.objects.update(enabled=False)

    assert why(task) == "agent_type_disabled"
    assert "'echo'" in sentence(task)


def test_a_full_type_is_named():
    make.an_agent_type(max_running=1)
    make.a_claimed_task()
    task = make.a_task()

    assert why(task) == "agent_type_limit"
    assert "'echo'" in sentence(task)


def test_a_full_workspace_is_named():
    area = make.a_workspace("small", max_running=1)
    make.a_claim(make.a_task(make.a_trace(area)))
    task = make.a_task(make.a_trace(area))

    assert why(task) == "workspace_limit"
    assert "'small'" in sentence(task)


def test_without_a_worker_it_says_how_to_start_one(live_worker):
    live_worker.delete()
    task = make.a_task()

    assert why(task) == "no_worker"
    assert "manage.py worker" in sentence(task)


def test_a_worker_that_was_not_seen_lately_is_not_alive(live_worker):
    Worker.objects.update(seen_at=timezone.now() - FRESH)

    assert not workers_alive()
    assert why(make.a_task()) == "no_worker"


def test_a_clock_is_no_worker(live_worker):
    Worker.objects.update(kind=Worker.Kind.CLOCK)

    assert not workers_alive()
    assert workers_alive(Worker.Kind.CLOCK)


def test_what_blocks_first_is_told_first():
    make.an_agent_type(max_running=1)
    make.a_claimed_task()
    Worker.objects.all().delete()
    task = make.a_task(run_at=timezone.now() + timedelta(days=1))

    assert why(task) == "due_later"
