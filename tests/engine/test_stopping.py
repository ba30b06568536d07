"""Cancelling and time limits, with agents that obey, dawdle or refuse. One tree for all."""

import psutil
import pytest

from tests.engine.installation import Installation, Tree, alive


def _killed(here: Installation, task_id: str) -> list[psutil.Process]:
    return here.those(lambda one: one.environ().get("GATEWAY_TASK_ID") == task_id)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("waits", "requested"),
        ("chatty", "requested"),
        ("stubborn", "killed"),
        ("threads", "requested"),
        ("plain", "requested"),
        ("plain_looks", "requested"),
        ("plain_stubborn", "killed"),
        ("family", "requested"),
    ],
)
def test_a_running_task_is_cancelled_and_nothing_of_it_survives(tree: Tree, kind, reason):
    here = tree.installation
    (task_id,) = here.submit(kind, here.gate())
    here.wait_started([task_id])
    if kind == "family":
        here.until(lambda: here.started(task_id, 1, "grown"), "the family has grown")
        assert len(_killed(here, task_id)) == 5
    workers = {one.pid for one in tree.workers()}

    assert here.probe("cancel", task_id=task_id)["status"] in ("cancelling", "cancelled")

    here.wait_status([task_id], "cancelled", reason)
    assert _killed(here, task_id) == []
    assert here.started(task_id, 1, "cleaned") == (kind == "plain_looks")
    assert {one.pid for one in tree.workers()} == workers


def test_a_task_that_waits_for_its_turn_is_cancelled_at_once(tree: Tree):
    here = tree.installation
    gate = here.gate()
    (first,) = here.submit("waits", gate)
    here.wait_started([first])
    (second,) = here.submit("waits", trace_id=here.probe("get", task_id=first)["trace_id"])

    assert here.probe("cancel", task_id=second)["status"] == "cancelled"

    gate.touch()
    here.wait_status([first], "completed")
    assert not here.starts(second)


@pytest.mark.sqlite
@pytest.mark.parametrize("kind", ["waits", "stubborn", "plain", "plain_stubborn", "family"])
def test_a_run_beyond_its_time_fails(tree: Tree, kind):
    here = tree.installation

    (task_id,) = here.submit(kind, here.gate(), timeout_seconds=1)

    here.wait_status([task_id], "failed", "timeout")
    assert _killed(here, task_id) == []
    assert sum(here.starts(task_id).values()) == 1


@pytest.mark.sqlite
@pytest.mark.parametrize("kind", ["blocks", "blocks_inside"])
def test_who_blocks_the_loop_fails_and_the_others_go_on_elsewhere(tree: Tree, kind):
    here = tree.installation
    gate = here.gate()
    others = [*here.submit("waits", gate, count=6), *here.submit("plain", gate, count=2)]
    here.wait_started(others)

    (offender,) = here.submit(kind, here.gate(), timeout_seconds=1)
    here.wait_started([offender])
    process = tree.worker_of(offender)
    beside = [one for one in others if tree.worker_of(one).pid == process.pid]

    here.wait_status([offender], "failed", "timeout")

    here.wait_started(beside, attempt=2)
    gate.touch()
    here.wait_status(others, "completed")
    for one in beside:
        outcomes = [row["outcome"] for row in here.probe("attempts", task_id=one)]
        assert outcomes == ["released", "completed"]
    here.until(lambda: not alive(process), "the blocked process is replaced")
    tree.settle()


@pytest.mark.sqlite
def test_agents_that_block_their_threads_do_not_hold_up_plain_functions(tree: Tree):
    here = tree.installation
    gate = here.gate()
    blocking = here.submit("threads", gate, count=4, threads=20)  # more than both workers' pools have
    here.wait_started(blocking)

    here.run("plain", count=4)

    assert here.probe("statuses", ids=blocking) == [["running", None, 1]] * 4
    gate.touch()
    here.wait_status(blocking, "completed")


@pytest.mark.sqlite
def test_a_failing_agent_fails_its_task_only(tree: Tree):
    here = tree.installation
    (task_id,) = here.submit("fails")

    here.wait_status([task_id], "failed", "error")

    assert here.probe("get", task_id=task_id)["error"]["message"] == "on purpose"


@pytest.mark.sqlite
def test_nothing_piles_up(tree: Tree):
    """After all of the above: no leaked descriptors, threads or processes."""
    here = tree.installation

    def sizes() -> list[tuple[int, int]]:
        return [(one.num_fds(), one.num_threads()) for one in tree.workers()]

    here.run("plain", count=6)
    before = max(sizes())
    for _ in range(4):
        here.run("plain", count=6)
        (task_id,) = here.submit("plain", here.gate())
        here.probe("cancel", task_id=task_id)
        here.wait_status([task_id], "cancelled")
    here.until(
        lambda: max(sizes())[0] <= before[0] + 2 and max(one[1] for one in sizes()) <= 24,
        f"descriptors and threads are as before ({before})",
        sizes,
    )
