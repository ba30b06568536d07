"""A whole tree dies: nothing of it is left behind, and the next start takes over what it left."""

import os
import signal

import psutil
import pytest

from tests.engine.installation import Installation, alive


def _daemons(here: Installation, task_id: str, attempt: int = 1) -> list[psutil.Process]:
    paths = sorted(here.marks.glob(f"{task_id}.{attempt}.daemon[01]"))
    return [psutil.Process(int(path.read_text())) for path in paths]


def test_a_killed_watchdog_takes_its_tree_along_and_a_new_start_recovers(installation: Installation):
    here = installation
    tree = here.start()
    gate = here.gate()
    ids = [*here.submit("waits", gate, count=2), *here.submit("plain", gate, count=2)]
    family = here.submit("family", gate)
    here.wait_started(ids)
    here.until(lambda: here.started(family[0], 1, "grown"), "the family has grown")
    daemons = _daemons(here, family[0])
    assert len(daemons) == 2

    tree.process.kill()
    tree.process.wait()

    # What a process of ours started dies with it; what left its family waits for the next start.
    here.until(
        lambda: not here.those(lambda one: one.ppid() != 1 and one.name() != "sleep"),
        "no process of the tree is left",
        here.processes,
    )

    here.start()

    here.wait_started([*ids, *family], attempt=2)
    assert not any(map(alive, daemons))
    gate.touch()
    assert here.wait_status([*ids, *family], "completed") == [2] * 5


def test_a_tree_killed_at_once_loses_nothing(installation: Installation):
    here = installation
    tree = here.start()
    gate = here.gate()
    running = here.submit("chatty", gate, count=3)
    here.wait_started(running)
    tree.kill()
    here.until(lambda: not here.processes(), "nothing of it runs any more", here.processes)
    pending = here.submit("waits", count=3)
    gate.touch()

    here.start()

    assert here.wait_status(running, "completed") == [2, 2, 2]
    assert here.wait_status(pending, "completed") == [1, 1, 1]


def test_cancelling_where_every_worker_is_dead_is_at_once_and_leaves_no_process(installation: Installation):
    here = installation
    tree = here.start()
    gate = here.gate()
    ids = [*here.submit("family", gate), *here.submit("waits", gate)]
    here.wait_started(ids)
    here.until(lambda: here.started(ids[0], 1, "grown"), "the family has grown")
    daemons = _daemons(here, ids[0])
    tree.kill()

    for one in ids:
        assert here.probe("cancel", task_id=one)["status"] == "cancelled"

    here.start()  # its clock clears away what the dead attempt left running
    here.until(lambda: not any(map(alive, daemons)), "the daemons are gone", lambda: daemons)


@pytest.mark.sqlite
def test_two_trees_share_the_work_and_one_outlives_the_other(installation: Installation):
    here = installation
    first, second = here.start(processes=1), here.start(processes=1)
    gate = here.gate()
    ids = here.submit("waits", gate, count=6)
    here.wait_started(ids)

    first.kill()

    here.run()
    gate.touch()
    here.wait_status(ids, "completed")
    assert second.process.poll() is None


def test_a_poison_pill_starts_as_often_as_it_may_and_harms_nobody_for_good(installation: Installation):
    here = installation
    here.start()
    gate = here.gate()
    others = here.submit("waits", gate, count=3, max_attempts=100)

    for kind in ("plain_poison", "poison"):  # the second takes its worker along
        (one,) = here.submit(kind, max_attempts=3)
        here.wait_status([one], "failed", "worker_lost")
        assert sorted(here.starts(one).items()) == [((one, number), 1) for number in (1, 2, 3)]
        assert here.probe("get", task_id=one)["error"]["code"] == "worker_lost"

    gate.touch()
    here.wait_status(others, "completed")


@pytest.mark.sqlite
def test_an_agent_process_killed_from_outside_is_tried_again(installation: Installation):
    here = installation
    here.start()
    gate = here.gate()
    (task_id,) = here.submit("plain", gate)
    here.wait_started([task_id])
    (child,) = here.those(lambda one: "bootstrap.py" in " ".join(one.cmdline()))

    child.send_signal(signal.SIGKILL)

    here.wait_started([task_id], attempt=2)
    gate.touch()
    here.wait_status([task_id], "completed")
    outcomes = [row["outcome"] for row in here.probe("attempts", task_id=task_id)]
    assert outcomes == ["worker_lost", "completed"]


def test_a_plain_function_dies_with_its_worker_and_so_does_what_it_started(installation: Installation):
    here = installation
    tree = here.start()
    gate = here.gate()
    (task_id,) = here.submit("family", gate)
    here.until(lambda: here.started(task_id, 1, "grown"), "the family has grown")
    first = here.those(lambda one: one.environ().get("GATEWAY_ATTEMPT") == "1")
    assert len(first) == 5  # the function, two sleeps, two daemons

    os.kill(tree.worker_of(task_id).pid, signal.SIGKILL)

    here.until(lambda: here.started(task_id, 2, "grown"), "the second attempt runs")
    assert not [one for one in first if alive(one)]
    gate.touch()
    here.wait_status([task_id], "completed")


def test_lost_wake_ups_cost_a_second_only(installation: Installation):
    here = installation
    here.start()
    bells = here.folder / "bells"
    for bell in bells.glob("*"):
        bell.unlink()

    here.run(count=2)
    (task_id,) = here.submit("waits", here.gate())
    here.wait_started([task_id])
    here.probe("cancel", task_id=task_id)
    here.wait_status([task_id], "cancelled", "requested")
