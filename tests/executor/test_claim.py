"""Which due task starts next: order in a trace, priorities, due times, limits, and races of workers."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import timedelta

import pytest
from django.utils import timezone

from executor import transitions
from executor.models import Attempt, Task
from executor.states import TaskStatus
from executor.transitions import Move
from lifecycle.models import AgentVersion, Workspace
from tests import make
from tests.threads import together

pytestmark = pytest.mark.django_db
Mode = AgentVersion.Mode


def claimed(**options) -> list[str]:
    """The descriptions of what a claim takes now, in its order."""
    return [claim.description for claim in make.claims(**options)]


def later(seconds: float = 3600):
    return timezone.now() + timedelta(seconds=seconds)


def make_due(*tasks: Task) -> None:
    """Let these tasks be due since a moment ago."""
    Task.objects.filter(pk__in=[task.pk for task in tasks]).update(run_at=later(-5))


def end(tasks: Iterable[str]) -> None:
    for task in Task.objects.filter(description__in=list(tasks)):
        assert task.lease_token is not None
        make.finish(make.Held(task.lease_token, task.pk))


# --- What is taken -----------------------------------------------------------------------------------------


def test_a_claim_makes_an_attempt_with_a_lease(settings):
    settings.GATEWAY_LEASE_SECONDS = 12
    worker = make.a_worker("w1", host="box", pid=77)

    claim = make.a_claim(make.a_task(input={"n": 1}, labels={"a": "b"}), worker)

    attempt = Attempt.objects.get()
    assert (attempt.task_id, attempt.number, attempt.token) == (claim.task_id, 1, claim.token)
    assert (attempt.worker, attempt.host, attempt.pid) == ("w1", "box", 77)
    assert attempt.lease_until - attempt.started_at == timedelta(seconds=12)
    assert (claim.input, claim.labels, claim.attempt, claim.mode) == ({"n": 1}, {"a": "b"}, 1, "async")
    assert make.event_types(claim.task_id) == ["task.submitted", "task.started"]


def test_nothing_due_is_no_claim():
    assert make.claims() == []


def test_a_claimed_task_is_not_claimed_again():
    make.a_claimed_task()

    assert make.claims() == []


def test_a_claim_takes_at_most_its_limit():
    for number in range(5):
        make.a_task(description=str(number))

    assert claimed(limit=3) == ["0", "1", "2"]
    assert claimed(limit=3) == ["3", "4"]


def test_a_claim_takes_no_more_of_a_mode_than_the_worker_has_places():
    make.an_agent_type("child", mode=Mode.CHILD)
    for kind in ("echo", "child"):
        for number in range(3):
            make.a_task(make.a_trace(agent_type=kind), f"{kind} {number}")

    assert sorted(claimed(free={Mode.ASYNC: 1, Mode.CHILD: 2})) == ["child 0", "child 1", "echo 0"]
    assert sorted(claimed(free={Mode.ASYNC: 0, Mode.CHILD: 9})) == ["child 2"]


def test_a_worker_without_any_place_claims_nothing():
    make.a_task()

    assert make.claims(free={Mode.ASYNC: 0, Mode.CHILD: 0}) == []


# --- When --------------------------------------------------------------------------------------------------


def test_a_task_for_later_waits_until_it_is_due():
    task = make.a_task(run_at=later())
    assert make.claims() == []

    make_due(task)

    assert len(make.claims()) == 1


def test_the_task_that_is_due_longer_comes_first():
    for seconds in (-10, -30, -20):
        make.a_task(description=str(seconds), run_at=later(seconds))

    assert claimed() == ["-30", "-20", "-10"]


def test_priority_orders_traces():
    for priority in (0, 100, -100, 5):
        make.a_task(description=str(priority), priority=priority)

    assert claimed() == ["100", "5", "0", "-100"]


# --- Order in a trace --------------------------------------------------------------------------------------


def test_tasks_of_a_trace_start_one_after_another():
    trace = make.a_trace()
    for name in ("first", "second", "third"):
        make.a_task(trace, name)

    for name in ("first", "second", "third"):
        assert claimed() == [name]
        assert claimed() == []
        end([name])


def test_within_a_trace_priority_does_not_overtake():
    trace = make.a_trace()
    make.a_task(trace, "first")
    make.a_task(trace, "urgent", priority=100)

    assert claimed() == ["first"]


@pytest.mark.parametrize("status", [TaskStatus.WAITING, TaskStatus.CANCELLING])
def test_a_trace_is_busy_while_its_task_waits_or_is_being_cancelled(status):
    trace = make.a_trace()
    task = make.a_task(trace)
    make.a_claim(task)
    make.a_task(trace, "next")

    transitions.move(Move(task.pk, status, "tests"))

    assert claimed() == []


def test_a_task_planned_for_later_does_not_block_those_behind_it():
    trace = make.a_trace()
    make.a_task(trace, "tomorrow", run_at=later())
    make.a_task(trace, "today")

    assert claimed() == ["today"]


def test_a_retry_keeps_its_place_in_the_trace():
    make.an_agent_type(retry_on=["error"], retry_delay_seconds=3600)
    trace = make.a_trace()
    first = make.a_task(trace, "first")
    make.a_task(trace, "second")
    make.finish(make.a_claim(first), "error")
    assert claimed() == []  # the retry is due in an hour, and the second task waits for it

    make_due(first)

    assert claimed() == ["first"]


def test_other_traces_go_on_while_one_is_busy():
    busy = make.a_trace()
    make.a_claim(make.a_task(busy))
    make.a_task(busy, "behind")
    make.a_task(description="elsewhere")

    assert claimed() == ["elsewhere"]


# --- Limits ------------------------------------------------------------------------------------------------


def test_a_limit_of_the_agent_type_is_exact():
    make.an_agent_type("narrow", max_running=2)
    for number in range(4):
        make.a_task(make.a_trace(agent_type="narrow"), str(number))

    assert claimed() == ["0", "1"]
    assert claimed() == []
    end(["0"])
    assert claimed() == ["2"]


def test_a_limit_of_the_workspace_is_exact():
    area = make.a_workspace("small", max_running=1)
    make.a_task(make.a_trace(area), "one")
    make.a_task(make.a_trace(area), "two")
    make.a_task(make.a_trace("large"), "three")

    assert claimed() == ["one", "three"]
    end(["one", "three"])
    assert claimed() == ["two"]


def test_both_limits_hold_together():
    make.an_agent_type("narrow", max_running=2)
    area = make.a_workspace("small", max_running=2)
    for workspace, kind in [("small", "narrow"), ("small", "echo"), ("small", "narrow"), ("large", "narrow")]:
        make.a_task(make.a_trace(workspace, kind), f"{workspace} {kind}")
    make.a_task(make.a_trace("large", "narrow"), "one too many")

    assert claimed() == ["small narrow", "small echo", "large narrow"]
    assert Task.objects.filter(workspace=area, status="running").count() == 2


def test_a_waiting_task_does_not_count_against_a_limit():
    make.an_agent_type("narrow", max_running=1)
    first = make.a_task(make.a_trace(agent_type="narrow"))
    make.a_claim(first)
    make.a_task(make.a_trace(agent_type="narrow"), "next")

    transitions.move(Move(first.pk, TaskStatus.WAITING, "tests"))

    assert claimed() == ["next"]


def test_a_task_that_is_being_cancelled_still_counts():
    make.an_agent_type("narrow", max_running=1)
    first = make.a_task(make.a_trace(agent_type="narrow"))
    make.a_claim(first)
    make.a_task(make.a_trace(agent_type="narrow"), "next")

    transitions.move(Move(first.pk, TaskStatus.CANCELLING, "tests"))

    assert claimed() == []


def test_a_crowd_of_a_full_type_does_not_hide_the_others():
    make.an_agent_type("narrow", max_running=1)
    for number in range(9):
        make.a_task(make.a_trace(agent_type="narrow"), f"narrow {number}", priority=50)
    make.a_task(description="other")

    taken = claimed(limit=2) + claimed(limit=2)  # the second look leaves the full type out

    assert taken == ["narrow 0", "other"]


def test_a_lifted_limit_acts_at_once():
    area = make.a_workspace("small", max_running=1)
    for name in ("one", "two"):
        make.a_task(make.a_trace(area), name)
    assert claimed() == ["one"]

    Workspace.objects.filter(pk="small").update(max_running=0)

    assert claimed() == ["two"]


def test_a_disabled_agent_type_starts_nothing_until_it_is_enabled():
    kind = make.an_agent_type("asleep", enabled=False)
    make.a_task(make.a_trace(agent_type=kind), "dream")
    assert claimed() == []

    kind.enabled = True
    kind.save()

    assert claimed() == ["dream"]


def test_a_new_version_serves_the_tasks_that_have_not_begun():
    make.a_task()
    make.an_agent_type(timeout_seconds=7)

    [claim] = make.claims()

    assert claim.config.limits.timeout_seconds == 7


# --- Races -------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_that_claim_the_same_task_one_gets_it_a_thousand_times():
    rounds = 1000
    meet = threading.Barrier(2, action=make.a_task)
    meet_again = threading.Barrier(2)

    def work(name: str):
        worker = make.a_worker(name)
        taken = []
        for _ in range(rounds):
            meet.wait()  # both claim while exactly one task is pending
            taken += [claim.task_id for claim in make.claims(worker, limit=1)]
            meet_again.wait()
        return taken

    first, second = together(lambda: work("w1"), lambda: work("w2"))

    assert len(first) + len(second) == len({*first, *second}) == rounds
    assert Attempt.objects.count() == rounds


@pytest.mark.django_db(transaction=True)
def test_limits_are_exact_while_several_workers_claim():
    make.an_agent_type("narrow", max_running=7)
    make.many_tasks(60, agent_type="narrow")

    def work(name: str) -> int:
        return sum(len(make.claims(make.a_worker(name), limit=2)) for _ in range(8))

    counts = together(*[lambda name=name: work(name) for name in ("w1", "w2", "w3")])

    assert sum(counts) == 7


@pytest.mark.django_db(transaction=True)
def test_a_cancel_that_races_a_claim_has_one_winner():
    rounds = 100
    tasks = make.many_tasks(rounds)

    def cancel():
        for task in tasks:
            make.manager.cancel_task(task.pk, actor=make.ANNA)

    def claim():
        return [one.task_id for _ in range(rounds) for one in make.claims(limit=1)]

    _, taken = together(cancel, claim)

    for task in tasks:
        status = make.fresh(task).status
        assert status == ("cancelling" if task.pk in taken else "cancelled")
