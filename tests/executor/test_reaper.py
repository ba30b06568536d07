"""The reaper: attempts of dead workers are found and ended, those of live ones are left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.utils import timezone

from executor import agent_events, kernel, leases
from executor.models import Attempt, Task, TaskEvent
from executor.reaper import Reaper
from lifecycle.models import Span
from tests import make
from tests.threads import together

pytestmark = pytest.mark.django_db


def expire(*claims, seconds: float = 5) -> None:
    """Let the leases of these claims have run out."""
    Attempt.objects.filter(token__in=[claim.token for claim in claims]).update(
        lease_until=timezone.now() - timedelta(seconds=seconds)
    )


def a_dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def reap_twice(reaper: Reaper | None = None) -> int:
    one = reaper or Reaper()
    return one.reap() + one.reap()


def test_a_live_lease_is_left_alone():
    task, _ = make.a_claimed_task()

    assert reap_twice() == 0
    assert make.fresh(task).status == "running"


def test_a_lease_that_ran_out_is_taken_at_the_second_sight():
    task, claim = make.a_claimed_task()
    expire(claim)
    reaper = Reaper()

    assert reaper.reap() == 0
    assert make.fresh(task).status == "running"
    assert reaper.reap() == 1

    row = make.fresh(task)
    assert (row.status, row.reason, row.failures) == ("pending", "retry", 1)
    assert Attempt.objects.get().outcome == "worker_lost"
    assert TaskEvent.objects.get(type="task.retrying").data["error"]["code"] == "worker_lost"


def test_a_lease_that_was_renewed_between_the_sights_is_left_alone():
    _, claim = make.a_claimed_task()
    expire(claim)
    reaper = Reaper()
    reaper.reap()

    leases.renew([claim.token])

    assert reaper.reap() == 0
    expire(claim)
    assert reaper.reap() == 0, "the count begins anew"


def test_an_attempt_that_ended_in_time_is_not_ended_again():
    task, claim = make.a_claimed_task()
    expire(claim)
    reaper = Reaper()
    reaper.reap()
    make.finish(claim, result="just so")

    assert reaper.reap() == 0
    assert make.fresh(task).result == "just so"


def test_an_attempt_of_a_process_that_is_gone_is_ended_at_once():
    task = make.a_task()
    make.a_claim(task, make.a_worker(host=kernel.host_id(), pid=a_dead_pid()))

    assert Reaper().reap() == 1

    assert make.fresh(task).reason == "retry"
    assert "ended" in TaskEvent.objects.get(type="task.retrying").data["error"]["message"]


def test_an_attempt_of_a_live_process_is_left_alone():
    make.a_claim(make.a_task(), make.a_worker(host=kernel.host_id(), pid=os.getpid()))

    assert reap_twice() == 0


def test_a_pid_of_another_machine_says_nothing():
    make.a_claim(make.a_task(), make.a_worker(host="elsewhere", pid=a_dead_pid()))

    assert reap_twice() == 0


def test_a_zombie_counts_as_gone():
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it ended, and nobody has taken note yet
    make.a_claim(make.a_task(), make.a_worker(host=kernel.host_id(), pid=process.pid))

    assert Reaper().reap() == 1
    process.wait()


def test_a_task_whose_worker_dies_each_time_fails_after_its_last_attempt():
    make.an_agent_type(max_attempts=3, retry_delay_seconds=0)
    task = make.a_task()

    for _ in range(3):
        claim = make.a_claim(task)
        expire(claim)
        assert reap_twice() == 1

    row = make.fresh(task)
    assert (row.status, row.reason, row.attempt, row.failures) == ("failed", "worker_lost", 3, 3)
    assert make.claims() == []
    assert make.event_types(task).count("task.started") == 3


def test_a_type_that_does_not_retry_a_lost_worker_fails():
    make.an_agent_type(retry_on=[])
    task, claim = make.a_claimed_task()
    expire(claim)

    reap_twice()

    assert (make.fresh(task).status, make.fresh(task).reason) == ("failed", "worker_lost")


def test_a_lost_attempt_of_a_task_that_is_being_cancelled_ends_it():
    task, claim = make.a_claimed_task()
    make.manager.cancel_task(task.pk)
    expire(claim)

    assert reap_twice() == 1

    assert (make.fresh(task).status, make.fresh(task).reason) == ("cancelled", "requested")


def test_the_open_steps_of_a_lost_attempt_are_interrupted_before_its_end():
    task, claim = make.a_claimed_task()
    agent_events.record(
        {
            claim.token: [
                {"type": "step.start", "id": "a", "kind": "tool", "name": "read"},
                {"type": "step.start", "id": "b", "kind": "tool", "name": "done"},
                {"type": "step.end", "id": "b"},
            ]
        }
    )
    expire(claim)

    reap_twice()

    assert make.event_types(task)[-2:] == ["step.end", "task.retrying"]
    assert TaskEvent.objects.filter(type="step.end").order_by("seq").last().data == {
        "id": "a", "status": "interrupted", "usage": {},
    }  # fmt: skip
    assert dict(Span.objects.values_list("span_id", "status")) == {"a": "interrupted", "b": "ok"}


def test_the_late_worker_of_a_lost_attempt_can_write_nothing():
    task, claim = make.a_claimed_task()
    expire(claim)
    reap_twice()

    assert agent_events.record({claim.token: [{"type": "log", "message": "late"}]}) == {claim.token}
    assert not make.finish(claim)
    assert claim.token in leases.renew([claim.token]).lost
    assert make.fresh(task).status == "pending"


@pytest.mark.django_db(transaction=True)
def test_two_reapers_end_each_attempt_once():
    make.many_tasks(30)
    claims = make.claims(limit=30)
    expire(*claims)

    counts = together(reap_twice, reap_twice)

    assert sum(counts) == 30
    assert Task.objects.filter(reason="retry").count() == 30
