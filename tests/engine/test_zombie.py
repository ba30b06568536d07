"""A worker that was thought dead comes back: its lease is gone, and it can do nothing any more."""

import signal

import psutil
import pytest

from tests.engine.installation import Installation, Tree


def _tree_of(trees: list[Tree], pid: int) -> Tree:
    return next(tree for tree in trees if pid in {one.pid for one in tree.workers()})


def test_a_worker_that_slept_through_its_lease_cannot_write_and_stops_its_runs(installation: Installation):
    here = installation
    trees = [here.start(processes=1, GATEWAY_WATCHDOG_SECONDS=100) for _ in range(2)]
    late, gate = here.gate("late"), here.gate()
    (writer,) = here.submit("writes_late", late)
    waiting = [*here.submit("waits", gate), *here.submit("stubborn", gate), *here.submit("plain", gate)]
    here.wait_started([writer, *waiting])
    sleeper = trees[0].workers()[0]
    on_sleeper = [one for one in (writer, *waiting) if trees[0].worker_of(one).pid == sleeper.pid]
    if writer not in on_sleeper:  # whichever process runs the writer goes to sleep
        sleeper = trees[1].workers()[0]
        on_sleeper = [one for one in (writer, *waiting) if trees[1].worker_of(one).pid == sleeper.pid]
    here.until(
        lambda: any(event["type"] == "log" for event in here.probe("events", task_id=writer)), "it wrote once"
    )

    sleeper.send_signal(signal.SIGSTOP)
    here.wait_started(on_sleeper, attempt=2)  # on the other tree
    late.touch()
    here.wait_status([writer], "completed")
    sleeper.send_signal(signal.SIGCONT)

    here.until(lambda: here.started(writer, 1, "refused"), "attempt 1 is refused")
    assert not here.started(writer, 1, "stored")
    assert here.probe("get", task_id=writer)["result"] == {"attempt": 2}
    late_words = [event for event in here.probe("events", task_id=writer) if "late" in str(event["data"])]
    assert [event["attempt"] for event in late_words] == [2]

    def at_rest() -> bool:
        rows = {row["pid"]: row["running"] for row in here.probe("workers")}
        return rows[sleeper.pid] == 0

    here.until(at_rest, "the process that slept has stopped its runs", lambda: here.probe("workers"))

    def of_the_first_attempts(one: psutil.Process) -> bool:
        environment = one.environ()
        first = environment.get("GATEWAY_ATTEMPT") == "1"
        return first and environment["GATEWAY_TASK_ID"] in on_sleeper

    assert here.those(of_the_first_attempts) == []
    gate.touch()
    here.wait_status(waiting, "completed")
    here.run(count=4)


@pytest.mark.sqlite
def test_a_worker_that_slept_for_a_moment_goes_on(installation: Installation):
    here = installation
    tree = here.start(GATEWAY_LEASE_SECONDS=20, GATEWAY_WATCHDOG_SECONDS=100)
    gate = here.gate()
    ids = [*here.submit("waits", gate, count=2), *here.submit("plain", gate, count=2)]
    here.wait_started(ids)

    for one in tree.workers():
        one.send_signal(signal.SIGSTOP)
    pending = here.submit("waits")
    here.until(lambda: here.probe("get", task_id=pending[0])["status"] == "pending", "nobody takes it")
    for one in tree.workers():
        one.send_signal(signal.SIGCONT)

    gate.touch()
    assert here.wait_status([*ids, *pending], "completed") == [1] * 5


@pytest.mark.sqlite
def test_a_frozen_tree_is_replaced_by_its_watchdog(installation: Installation):
    here = installation
    tree = here.start(processes=1, GATEWAY_WATCHDOG_SECONDS=3)
    gate = here.gate()
    ids = here.submit("waits", gate)
    here.wait_started(ids)
    frozen = tree.workers()[0]

    frozen.send_signal(signal.SIGSTOP)  # it holds the queue's lock for ever

    here.wait_started(ids, attempt=2)
    gate.touch()
    here.wait_status(ids, "completed")
    assert not frozen.is_running()
    assert "No sign of life" in tree.log.read_text()
