"""Each process of a worker's tree is killed; the tree heals, and no task is harmed beyond the rules.

One tree lives through all of these.
"""

import signal

import pytest

from tests.engine.installation import Tree


def _kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait(30)


def test_a_killed_busy_worker_costs_its_tasks_one_attempt(tree: Tree):
    here = tree.installation
    gate = here.gate()
    ids = here.submit("waits", gate, count=4)
    here.wait_started(ids)
    victim = tree.worker_of(ids[0])
    lost = [one for one in ids if tree.worker_of(one).pid == victim.pid]

    _kill(victim)

    here.wait_started(lost, attempt=2)
    gate.touch()
    here.wait_status(ids, "completed")
    for one in ids:
        outcomes = [row["outcome"] for row in here.probe("attempts", task_id=one)]
        assert outcomes == (["worker_lost", "completed"] if one in lost else ["completed"])


@pytest.mark.parametrize("again", range(3))
def test_a_killed_idle_worker_that_holds_the_queue_lock_blocks_nobody(tree: Tree, again):
    _kill(tree.queue_reader())

    tree.installation.run(count=3)
    tree.settle()


@pytest.mark.parametrize("role", ["monitor", "pusher", "sentinel", "cluster", "clock"])
def test_a_killed_part_is_replaced_and_new_tasks_run(tree: Tree, role):
    here = tree.installation
    gate = here.gate()
    running = here.submit("waits", gate, count=2)
    here.wait_started(running)
    victim = tree.role(role)

    _kill(victim)

    here.run(count=3)
    gate.touch()
    attempts = here.wait_status(running, "completed")
    if role in ("monitor", "pusher", "clock"):
        assert attempts == [1, 1]  # who only hands on or watches takes no run along
    assert max(attempts) <= 2
    tree.settle()
    assert not victim.is_running()


def test_the_watchdog_never_restarted_a_healthy_tree(tree: Tree):
    assert "No sign of life" not in tree.log.read_text()
