"""A process dies exactly where it hurts most (``executor/crash_points.py``); the task ends all the same."""

from pathlib import Path

import pytest

from tests.engine.installation import Installation

CRASHING = "tests.engine.crash_settings"


def _start(here: Installation, point: str, settings: str = CRASHING) -> Path:
    marker = here.folder / f"crashed-{point}"
    here.start(
        GATEWAY_CRASH_AT=f"{point}:{marker}",
        DJANGO_SETTINGS_MODULE=settings,
        PYTHONPATH=Path(__file__).parents[2],
    )
    return marker


@pytest.mark.parametrize(
    ("point", "attempts", "bodies"),
    [
        ("after_claim", 2, 1),  # claimed and dead: nobody ran it before attempt 2
        ("before_terminal_write", 2, 2),  # it ran, but nobody knows: it runs again
        ("after_terminal_write", 1, 1),  # it is written: it never runs again
    ],
)
def test_a_worker_that_dies_at_a_point_costs_what_it_must(
    installation: Installation, point, attempts, bodies
):
    here = installation
    marker = _start(here, point)

    (task_id,) = here.submit("waits")

    assert here.wait_status([task_id], "completed") == [attempts]
    assert marker.exists()
    assert sum(here.starts(task_id).values()) == bodies
    here.run(count=2)


def test_a_worker_that_dies_while_it_gives_its_runs_back_counts_as_lost(installation: Installation):
    here = installation
    marker = _start(here, "before_release")
    gate = here.gate()
    ids = here.submit("waits", gate, count=2)
    here.wait_started(ids)

    here.trees[0].stop()

    assert marker.exists()
    gate.touch()
    here.start()
    assert here.wait_status(ids, "completed") == [2, 2]
    ends = sorted(here.probe("attempts", task_id=one)[0]["outcome"] for one in ids)
    assert "worker_lost" in ends


def test_a_clock_that_dies_between_finding_and_ending_an_attempt_is_followed_by_one_that_ends_it(
    installation: Installation,
):
    here = installation
    marker = _start(here, "before_reap")
    gate = here.gate()
    (task_id,) = here.submit("waits", gate)
    here.wait_started([task_id])

    here.trees[0].worker_of(task_id).kill()

    here.wait_started([task_id], attempt=2)
    assert marker.exists()
    gate.touch()
    assert here.wait_status([task_id], "completed") == [2]


@pytest.mark.sqlite
def test_crash_points_are_inert_outside_the_tests(installation: Installation):
    marker = _start(installation, "after_claim", settings="gatewaysite.settings")

    (task_id,) = installation.run()

    assert installation.probe("get", task_id=task_id)["attempt"] == 1
    assert not marker.exists()
