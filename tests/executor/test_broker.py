"""The broker: Django-Q2 is handed a drain while something is due, and a canary now and then."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.signing import SignedPackage

from executor import broker, doorbell, pulse
from executor.broker import CANARY, DRAIN, LOOK_SECONDS, TaskTableBroker, seconds_until_due
from executor.pulse import Pulse
from tests import make

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def q_broker(monkeypatch):
    """A broker of a worker that does not drain; the first look has been made, so it listens."""
    monkeypatch.setattr(pulse, "shared", Pulse())
    one = TaskTableBroker()
    one._canary_at = time.monotonic() + 1000  # the canary has tests of its own
    yield one
    if one._listener is not None:
        one._listener.close()


def taken(one: TaskTableBroker) -> list[str]:
    return [name for name, _ in one.dequeue()]


def test_django_q_uses_this_broker():
    assert isinstance(get_broker(), TaskTableBroker)


def test_without_a_due_task_there_is_nothing_to_hand_out(q_broker):
    assert taken(q_broker) == []


def test_a_due_task_calls_for_a_drain_at_the_first_look(q_broker):
    make.a_task()

    assert taken(q_broker) == [DRAIN]


def test_a_ring_calls_for_a_look_at_once(q_broker):
    assert taken(q_broker) == []
    make.a_task()
    started = time.monotonic()

    found: list[str] = []
    while not found:
        found = taken(q_broker)
        assert time.monotonic() - started < 30

    assert found == [DRAIN]


def test_a_lost_ring_costs_one_look(q_broker, monkeypatch):
    assert taken(q_broker) == []
    monkeypatch.setattr(doorbell, "ring", lambda *topics: None)
    make.a_task()

    assert q_broker._until_next_look() <= LOOK_SECONDS
    q_broker._look_at = 0.0  # that time has passed

    assert taken(q_broker) == [DRAIN]


def test_a_task_that_is_due_but_cannot_start_does_not_make_the_broker_spin(q_broker):
    make.a_task()
    assert taken(q_broker) == [DRAIN]

    assert 0.5 < q_broker._until_next_look() <= LOOK_SECONDS


def test_a_draining_worker_is_handed_nothing(q_broker):
    make.a_task()
    pulse.shared.drain(10)

    assert taken(q_broker) == []


def test_the_canary_comes_first_and_then_now_and_then(q_broker, settings):
    q_broker._canary_at = 0.0
    assert taken(q_broker) == [CANARY]
    next_in = q_broker._canary_at - time.monotonic()

    assert 0 < next_in <= settings.GATEWAY_WATCHDOG_SECONDS / 5


def test_a_canary_that_came_back_is_a_sign_of_life(q_broker):
    pulse.shared._numbers[0] -= 100
    assert pulse.shared.age > 99

    q_broker.acknowledge(DRAIN)
    assert pulse.shared.age > 99
    q_broker.acknowledge(CANARY)

    assert pulse.shared.age < 99


def test_a_database_that_is_away_is_looked_for_again_later(q_broker, monkeypatch, caplog):
    def away() -> float:
        raise OperationalError("gone")

    monkeypatch.setattr(broker, "seconds_until_due", away)

    assert taken(q_broker) == []
    assert "Cannot look for due tasks" in caplog.text
    assert q_broker._until_next_look() > 0


@pytest.mark.parametrize("name", [CANARY, DRAIN])
def test_messages_are_what_django_q_reads(name):
    package = SignedPackage.loads(broker.MESSAGES[name])

    assert package["id"] == package["name"] == name
    assert package["func"] == f"executor.worker.{name}"
    assert (package["args"], package["kwargs"]) == ((), {})


def test_the_queue_is_as_long_as_there_are_due_tasks(q_broker):
    make.a_claimed_task()
    make.a_task()
    make.a_task(run_at=timezone.now() + timedelta(hours=1))

    assert q_broker.queue_size() == 1


# --- When the next task is due -----------------------------------------------------------------------------


def test_nothing_pending_is_looked_for_every_second():
    make.a_claimed_task()

    assert seconds_until_due() == LOOK_SECONDS


def test_a_due_task_is_due_now():
    make.a_task()

    assert seconds_until_due() == 0


@pytest.mark.parametrize(("ahead", "most"), [(3600, LOOK_SECONDS), (0.5, 0.5)])
def test_a_task_for_later_is_waited_for_but_not_longer_than_a_look(ahead, most):
    make.a_task(run_at=timezone.now() + timedelta(seconds=ahead))

    assert 0 < seconds_until_due() <= most


def test_the_settings_keep_django_q_out_of_the_way():
    setting = django_settings.Q_CLUSTER

    assert setting["retry"] > setting["timeout"]
    assert setting["guard_cycle"] in (0.25, 0.5, 1)  # its guard tests for zero exactly
    assert (setting["recycle"], setting["scheduler"], setting["ack_failures"]) == (0, False, True)
