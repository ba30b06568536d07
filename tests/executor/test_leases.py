"""Leases: renewed, lost, ended; what becomes of a task when its attempt ends."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from executor import leases, transitions
from executor.models import Attempt, Task, TaskEvent
from executor.states import Reason, TaskStatus
from executor.transitions import Move
from tests import make
from tests.threads import together

pytestmark = pytest.mark.django_db
Outcome = Attempt.Outcome


def begin_again(task: Task):
    """The next attempt of a task that waits for one."""
    Task.objects.filter(pk=task.pk).update(run_at=timezone.now())
    return make.a_claim(task)


def a_failing_task(**limits):
    """A claimed task whose type has these limits."""
    limits.setdefault("retry_delay_seconds", 0)
    task = make.a_task(make.a_trace(agent_type=make.an_agent_type(**limits)))
    return task, make.a_claim(task)


# --- Renewing ----------------------------------------------------------------------------------------------


def test_renewing_extends_a_lease():
    _, claim = make.a_claimed_task()
    Attempt.objects.update(lease_until=timezone.now() - timedelta(seconds=5))

    renewal = leases.renew([claim.token])

    assert renewal == leases.Renewal()
    assert Attempt.objects.get().lease_until > timezone.now() + timedelta(seconds=20)


def test_renewing_nothing_asks_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert leases.renew([]) == leases.Renewal()


def test_renewing_tells_which_leases_are_lost_and_which_tasks_are_to_stop():
    _, kept = make.a_claimed_task()
    stopping, stopped = make.a_claimed_task()
    _, ended = make.a_claimed_task()
    make.manager.cancel_task(stopping.pk)
    make.finish(ended)
    unknown = uuid4()

    renewal = leases.renew([kept.token, stopped.token, ended.token, unknown])

    assert renewal == leases.Renewal(lost={ended.token, unknown}, cancelling={stopped.token})
    assert leases.cancelling() == {stopped.token}


def test_an_ended_attempts_lease_is_not_extended():
    _, claim = make.a_claimed_task()
    make.finish(claim)
    before = Attempt.objects.get().lease_until

    leases.renew([claim.token])

    assert Attempt.objects.get().lease_until == before


def test_leases_that_ran_out_are_found_the_oldest_first():
    claims = [make.a_claimed_task()[1] for _ in range(3)]
    for claim, seconds in zip(claims, (5, 60, -60), strict=True):
        Attempt.objects.filter(token=claim.token).update(
            lease_until=timezone.now() - timedelta(seconds=seconds)
        )

    found = leases.expired(timezone.now())

    assert [attempt.token for attempt in found] == [claims[1].token, claims[0].token]


# --- Ending ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", [None, "text", {"a": [1, 2]}, 0, False, ""])
def test_a_completed_task_keeps_its_result(result):
    task, claim = make.a_claimed_task()

    assert make.finish(claim, result=result)

    row = make.fresh(task)
    assert (row.status, row.result, row.reason, row.error) == ("completed", result, None, None)
    assert Attempt.objects.get().outcome == "completed"


def test_an_attempt_ends_once():
    task, claim = make.a_claimed_task()

    assert make.finish(claim, result="first")
    assert not make.finish(claim, result="second")

    assert make.fresh(task).result == "first"


def test_a_worker_that_lost_its_lease_cannot_finish():
    task, first = a_failing_task()
    make.finish(first, Outcome.WORKER_LOST)  # the reaper gave the task to another
    second = begin_again(task)

    assert not make.finish(first, result="late")

    assert make.finish(second, result="right")
    assert make.fresh(task).result == "right"


@pytest.mark.parametrize("outcome", ["error", "timeout", "worker_lost", "agent_not_configured"])
def test_a_task_fails_with_the_reason_of_its_last_attempt(outcome):
    task, claim = a_failing_task(max_attempts=1, retry_on=["error", "timeout", "worker_lost"])

    make.finish(claim, outcome)

    row = make.fresh(task)
    assert (row.status, row.reason) == ("failed", outcome)
    assert (row.error or {})["code"] == outcome
    assert TaskEvent.objects.get(type="task.failed").data["error"]["message"] == "It broke."
    assert row.failures == (outcome != "agent_not_configured")


@pytest.mark.parametrize("outcome", ["error", "timeout", "worker_lost"])
def test_a_failure_is_tried_again_where_the_type_says_so(outcome):
    task, claim = a_failing_task(retry_on=[outcome])

    make.finish(claim, outcome)

    row = make.fresh(task)
    assert (row.status, row.reason, row.failures) == ("pending", "retry", 1)
    assert Attempt.objects.get().outcome == outcome
    assert begin_again(task).attempt == 2


@pytest.mark.parametrize("outcome", ["error", "timeout", "worker_lost"])
def test_a_failure_that_the_type_does_not_retry_is_final(outcome):
    causes = [one for one in ("error", "timeout", "worker_lost") if one != outcome]
    task, claim = a_failing_task(retry_on=causes)

    make.finish(claim, outcome)

    assert make.fresh(task).status == "failed"


def test_an_agent_that_asks_for_it_is_tried_again_whatever_its_type_says():
    task, claim = a_failing_task(retry_on=[])

    make.finish(claim, "error", error={"code": "error", "message": "503", "retryable": True})

    assert make.fresh(task).reason == "retry"


def test_an_agent_that_is_not_configured_is_not_tried_again():
    task, claim = a_failing_task(retry_on=["error", "timeout", "worker_lost"])

    make.finish(claim, "agent_not_configured")

    assert (make.fresh(task).status, make.fresh(task).reason) == ("failed", "agent_not_configured")


def test_attempts_end_with_max_attempts():
    task, claim = a_failing_task(max_attempts=3, retry_on=["error"])
    for _ in range(2):
        make.finish(claim, "error")
        claim = begin_again(task)
    make.finish(claim, "error")

    row = make.fresh(task)
    assert (row.status, row.attempt, row.failures) == ("failed", 3, 3)
    assert make.event_types(task).count("task.retrying") == 2


def test_a_task_that_failed_first_and_then_completes_shows_no_error_of_its_own():
    task, claim = a_failing_task(retry_on=["error"])
    make.finish(claim, "error")

    make.finish(begin_again(task), result="well")

    row = make.fresh(task)
    assert (row.status, row.result, row.error) == ("completed", "well", None)


def test_a_released_attempt_is_no_failure_and_its_task_is_due_at_once():
    task, claim = a_failing_task(max_attempts=1)

    make.finish(claim, Outcome.RELEASED)

    row = make.fresh(task)
    assert (row.status, row.reason, row.failures) == ("pending", "released", 0)
    assert make.event_types(task)[-1] == "task.released"
    assert make.a_claim(task).attempt == 2


def test_an_attempt_lost_while_its_task_waited_is_no_failure():
    task, claim = a_failing_task(max_attempts=1, retry_on=[])
    transitions.move(Move(task.pk, TaskStatus.WAITING, "worker", Reason.ASK, token=claim.token))

    make.finish(claim, Outcome.WORKER_LOST)

    row = make.fresh(task)
    assert (row.status, row.failures) == ("pending", 0)
    assert make.a_claim(task).attempt == 2


@pytest.mark.parametrize(
    ("failures", "base", "seconds"),
    [(1, 15, 15), (2, 15, 30), (3, 15, 60), (9, 15, 3600), (100, 15, 3600), (5, 0, 0), (1, 7200, 7200)],
)
def test_the_wait_before_a_retry_doubles_up_to_an_hour(failures, base, seconds):
    assert leases.delay_before(failures, base) == timedelta(seconds=seconds)


def test_a_retry_waits_for_the_delay_of_its_type():
    task, claim = a_failing_task(retry_on=["error"], retry_delay_seconds=100)
    before = timezone.now()

    make.finish(claim, "error")

    wait = make.fresh(task).run_at - before
    assert timedelta(seconds=100) <= wait < timedelta(seconds=130)
    event = TaskEvent.objects.get(type="task.retrying")
    assert event.data["run_at"] == make.fresh(task).run_at.isoformat()


# --- A task that is being cancelled ------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["completed", "error", "timeout", "worker_lost", "released", "cancelled"])
def test_a_task_that_is_being_cancelled_ends_as_cancelled_whatever_its_attempt_came_to(outcome):
    task, claim = make.a_claimed_task()
    make.manager.cancel_task(task.pk)

    assert make.finish(claim, outcome)

    row = make.fresh(task)
    assert (row.status, row.reason, row.result) == ("cancelled", "requested", None)
    assert Attempt.objects.get().outcome == "cancelled"


def test_a_cancel_by_force_says_so():
    task, claim = make.a_claimed_task()
    make.manager.cancel_task(task.pk)

    make.finish(claim, Outcome.CANCELLED, killed=True)

    assert make.fresh(task).reason == "killed"


def test_an_attempt_that_nobody_asked_to_stop_cannot_end_as_cancelled():
    task, claim = make.a_claimed_task()

    assert not make.finish(claim, Outcome.CANCELLED)

    assert make.fresh(task).status == "running"


def test_endings_of_one_batch_are_each_judged_for_themselves():
    (done, one), (failed, two), (cancelled, three), (lost, four) = (make.a_claimed_task() for _ in range(4))
    make.manager.cancel_task(cancelled.pk)
    make.finish(four, result="before")

    won = leases.finish(
        [
            make.an_ending(one, result="1"),
            make.an_ending(two, "error"),
            make.an_ending(three, result="3"),
            make.an_ending(four, result="late"),
        ]
    )

    assert won == [True, True, True, False]
    assert [make.fresh(task).status for task in (done, failed, cancelled, lost)] == [
        "completed", "failed", "cancelled", "completed",
    ]  # fmt: skip
    assert make.fresh(lost).result == "before"


# --- Races -------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_thousand_cancels_race_a_thousand_completions_and_each_has_one_winner():
    make.many_tasks(1000)
    claims = make.claims(limit=1000)
    assert len(claims) == 1000

    def cancel():
        return {
            claim.task_id: make.manager.cancel_task(claim.task_id, actor=make.ANNA)["status"]
            for claim in claims
        }

    def complete():
        return {claim.task_id: make.finish(claim, result="done") for claim in claims}

    told_to_canceller, told_to_worker = together(cancel, complete)

    ends = dict(
        TaskEvent.objects.filter(type__in=["task.completed", "task.cancelled"]).values_list("task_id", "type")
    )
    statuses = dict(Task.objects.values_list("pk", "status"))
    assert len(ends) == TaskEvent.objects.filter(type__in=set(ends.values())).count() == 1000
    for claim in claims:
        status = statuses[claim.task_id]
        assert ends[claim.task_id] == f"task.{status}"
        assert told_to_worker[claim.task_id], "the worker's own lease stood, whoever was first"
        if status == "completed":
            assert told_to_canceller[claim.task_id] == "completed"
        else:
            assert told_to_canceller[claim.task_id] in ("cancelling", "cancelled")


@pytest.mark.django_db(transaction=True)
def test_two_that_end_the_same_attempt_have_one_winner():
    make.many_tasks(100)
    claims = make.claims(limit=100)

    def end(outcome: str):
        return [make.finish(claim, outcome) for claim in claims]

    worker, reaper = together(lambda: end("completed"), lambda: end("worker_lost"))

    assert all(one != other for one, other in zip(worker, reaper, strict=True))
