"""SIGTERM: nothing new begins, what runs may finish for a while, and the rest is given back unharmed."""

import os
import signal

import pytest

from tests.engine.installation import Installation


def _outcomes(here: Installation, ids: list[str]) -> set[str]:
    return {here.probe("attempts", task_id=one)[0]["outcome"] for one in ids}


def test_fifty_runs_finish_within_the_drain(installation: Installation):
    here = installation
    tree = here.start(GATEWAY_DRAIN_SECONDS=30)
    gate = here.gate()
    ids = [*here.submit("waits", gate, count=46), *here.submit("plain", gate, count=4)]
    here.wait_started(ids)

    tree.process.send_signal(signal.SIGTERM)
    here.until(lambda: tree.roles()["pusher"] is None, "nobody claims any more")
    late = here.submit("waits")
    gate.touch()

    assert tree.wait() == 0
    assert here.wait_status(ids, "completed") == [1] * 50
    assert here.probe("statuses", ids=late) == [["pending", None, 0]]


@pytest.mark.sqlite
def test_a_signal_to_the_whole_process_group_drains_too(installation: Installation):
    here = installation
    tree = here.start(GATEWAY_DRAIN_SECONDS=30)
    gate = here.gate()
    ids = [*here.submit("waits", gate, count=48), *here.submit("plain", gate, count=2)]
    here.wait_started(ids)

    os.killpg(tree.process.pid, signal.SIGTERM)
    gate.touch()

    assert tree.wait() == 0
    assert here.wait_status(ids, "completed") == [1] * 50


def test_runs_longer_than_the_drain_are_given_back_and_go_on_after_a_restart(installation: Installation):
    here = installation
    tree = here.start(GATEWAY_DRAIN_SECONDS=1)
    gate = here.gate()
    kinds = ("waits", "chatty", "plain", "plain_looks", "stubborn", "plain_stubborn", "family", "threads")
    # However stubborn, and however long its type lets it take to stop: the worker has no such time.
    ids = [one for kind in (*kinds, "patient_stubborn", "patient_waits") for one in here.submit(kind, gate)]
    here.wait_started(ids)

    code = tree.stop()

    assert code == 0, tree.log_tail()
    assert here.probe("statuses", ids=ids) == [["pending", "released", 1]] * len(ids)
    assert _outcomes(here, ids) == {"released"}
    here.until(lambda: not here.processes(), "nothing of it runs any more", here.processes)

    here.start()

    resumed = [one for one in ids if here.probe("get", task_id=one)["agent_type"] != "plain_looks"]
    here.wait_started(ids, attempt=2)
    gate.touch()
    assert here.wait_status(resumed, "completed") == [2] * len(resumed)


@pytest.mark.sqlite
def test_a_blocked_loop_does_not_hold_up_the_drain_nor_harm_the_other_runs(installation: Installation):
    here = installation
    tree = here.start(processes=1, GATEWAY_DRAIN_SECONDS=1)
    gate = here.gate()
    others = [*here.submit("waits", gate, count=3), *here.submit("plain", gate)]
    here.wait_started(others)
    blocking = here.submit("blocks", gate)
    here.wait_started(blocking)

    assert tree.stop() == 0

    ids = others + blocking
    assert here.probe("statuses", ids=ids) == [["pending", "released", 1]] * 5
    assert _outcomes(here, ids) == {"released"}


def test_agents_may_use_threads_and_keep_files_while_their_worker_drains(installation: Installation):
    here = installation
    tree = here.start(GATEWAY_DRAIN_SECONDS=30)
    gate = here.gate()
    ids = [*here.submit("late_worker", gate, count=2), *here.submit("family", gate)]
    here.wait_started(ids)

    tree.process.send_signal(signal.SIGTERM)
    here.until(lambda: tree.roles()["pusher"] is None, "it drains")
    here.until(lambda: len(tree.workers()) == 2, "its workers wait for their runs")
    gate.touch()

    assert tree.wait() == 0
    assert here.wait_status(ids, "completed") == [1, 1, 1]


@pytest.mark.sqlite
def test_runs_with_a_drain_of_zero_are_given_back_at_once(installation: Installation):
    here = installation
    tree = here.start(GATEWAY_DRAIN_SECONDS=0)
    ids = [*here.submit("waits", here.gate(), count=3), *here.submit("plain", here.gate())]
    here.wait_started(ids)

    assert tree.stop() == 0

    assert here.probe("statuses", ids=ids) == [["pending", "released", 1]] * 4


def test_an_idle_tree_ends_at_once_and_signs_off(installation: Installation):
    here = installation
    tree = here.start(GATEWAY_DRAIN_SECONDS=60)
    here.until(lambda: len(here.probe("workers")) == 2, "both workers signed on")

    assert tree.stop(20) == 0

    assert here.probe("workers") == []
    assert here.probe("workers", kind="clock") == []


@pytest.mark.sqlite
def test_a_second_signal_ends_it_at_once(installation: Installation):
    here = installation
    tree = here.start(GATEWAY_DRAIN_SECONDS=300)
    ids = [*here.submit("waits", here.gate()), *here.submit("plain", here.gate())]
    here.wait_started(ids)

    tree.process.send_signal(signal.SIGTERM)
    here.until(lambda: tree.roles()["pusher"] is None, "it drains")
    assert tree.process.poll() is None
    tree.process.send_signal(signal.SIGTERM)

    tree.wait(30)
    here.until(lambda: not here.processes(), "nothing of it runs any more", here.processes)


@pytest.mark.sqlite
@pytest.mark.parametrize("role", ["cluster", "pusher"])
def test_a_tree_told_to_stop_while_it_starts_stops(installation: Installation, role):
    here = installation
    tree = here.start(settle=False)
    here.until(lambda: tree.roles()[role] is not None, "it has come that far")

    tree.process.send_signal(signal.SIGTERM)

    assert tree.wait(30) == 0
