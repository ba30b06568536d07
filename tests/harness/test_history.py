"""The history checker sees every kind of bad history."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from executor.models import Attempt, Task, TaskEvent
from executor.states import FINAL, LEASED
from tests.history import violations_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TOKENS = {number: uuid4() for number in range(1, 5)}


def a_history(events: str, *, status: str, outcomes: str = "", **columns) -> tuple[Task, list, list]:
    """A task whose events are ``type@attempt`` words and whose attempts ended by ``outcomes`` ("-": live)."""
    words = [word.split("@") for word in events.split()]
    lines = [
        TaskEvent(seq=index, type=kind if kind in ("text", "log") else f"task.{kind}", attempt=int(attempt))
        for index, (kind, attempt) in enumerate(words, 1)
    ]
    attempts = [
        Attempt(
            number=number,
            token=TOKENS[number],
            ended_at=None if outcome == "-" else NOW,
            outcome=None if outcome == "-" else outcome,
        )
        for number, outcome in enumerate(outcomes.split(), 1)
    ]
    task = Task(
        pk=UUID(int=1),
        status=status,
        last_seq=len(lines),
        attempt=len(attempts),
        max_attempts=3,
        lease_token=attempts[-1].token if status in LEASED and attempts else None,
        finished_at=NOW if status in FINAL else None,
    )
    for name, value in columns.items():
        setattr(task, name, value)
    return task, lines, attempts


DONE = "submitted@0 started@1 text@1 completed@1"
RETRIED = "submitted@0 started@1 text@1 retrying@1 started@2 log@2 completed@2"


@pytest.mark.parametrize(
    ("events", "status", "outcomes"),
    [
        ("submitted@0", "pending", ""),
        ("submitted@0 started@1 text@1", "running", "-"),
        ("submitted@0 started@1 waiting@1 log@1", "waiting", "-"),
        ("submitted@0 started@1 waiting@1 resumed@1 cancelling@1", "cancelling", "-"),
        ("submitted@0 cancelled@0", "cancelled", ""),
        ("submitted@0 started@1 released@1 cancelled@1", "cancelled", "released"),
        (DONE, "completed", "completed"),
        (RETRIED, "completed", "error completed"),
        ("submitted@0 started@1 cancelling@1 cancelled@1", "cancelled", "cancelled"),
        ("submitted@0 started@1 failed@1", "failed", "agent_not_configured"),
    ],
)
def test_a_legal_history_has_no_violations(events, status, outcomes):
    assert violations_of(*a_history(events, status=status, outcomes=outcomes)) == []


@pytest.mark.parametrize(
    ("events", "status", "outcomes", "said"),
    [
        ("started@1 completed@1", "completed", "completed", "its first event is not task.submitted"),
        ("submitted@0 completed@0", "completed", "", "event 2 task.completed is no move from pending"),
        (
            "submitted@0 started@1 started@2",
            "running",
            "error -",
            "event 3 task.started is no move from running",
        ),
        ("submitted@0 resumed@0", "running", "", "event 2 task.resumed is no move from pending"),
        ("submitted@0 started@1 vanished@1", "running", "-", "event 3 task.vanished is unknown"),
        (
            "submitted@0 started@1 cancelling@1 completed@1",
            "completed",
            "completed",
            "event 4 task.completed is no move from cancelling",
        ),
        (DONE, "failed", "error", "it is failed, but its last move made it completed"),
        (f"{DONE} text@1", "completed", "completed", "event 5 text comes after its end 4"),
        (f"{DONE} completed@1", "completed", "completed", "it is completed and has 2 terminal events"),
        ("submitted@0 started@1", "completed", "completed", "it is completed and has 0 terminal events"),
        (
            "submitted@0 started@1 retrying@1 started@2 text@1",
            "running",
            "error -",
            "event 5 text of attempt 1 follows the start of 2",
        ),
        (
            "submitted@0 started@1 text@2",
            "running",
            "-",
            "event 3 text is of attempt 2, which has not started",
        ),
        ("submitted@0 text@0", "pending", "", "event 2 text was written while it was pending"),
        (
            "submitted@0 started@1 retrying@1 text@1",
            "pending",
            "error",
            "event 4 text was written while it was pending",
        ),
        (
            "submitted@0 started@1 retrying@1 started@3",
            "running",
            "error -",
            "its starts are of attempts [1, 3]",
        ),
        ("submitted@0 started@1", "running", "- -", "its starts are of attempts [1], and its attempt is 2"),
        (
            "submitted@0 started@1 retrying@1 started@2",
            "running",
            "- -",
            "it is running with 2 live attempts",
        ),
        (DONE, "completed", "-", "it is completed with 1 live attempts"),
        ("submitted@0 started@1", "running", "error", "it is running with 0 live attempts"),
        (RETRIED, "completed", "completed completed", "attempt 1 of 2 had ended the task already"),
        (DONE, "completed", "timeout", "it is completed, but its last attempt came to timeout"),
    ],
)
def test_a_bad_history_is_seen(events, status, outcomes, said):
    found = violations_of(*a_history(events, status=status, outcomes=outcomes))

    assert any(said in problem for problem in found), found


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"last_seq": 5}, "last_seq is 5, but its last event is 4"),
        ({"finished_at": None}, "it is completed with finished_at None"),
        ({"lease_token": uuid4()}, "its token is not that of its live attempt"),
        ({"failures": 1}, "1 failures are counted; 0 of 3 attempts failed"),
        ({"attempt": 2}, "its attempt is 2, but there are rows of [1]"),
    ],
)
def test_a_row_that_contradicts_its_history_is_seen(columns, said):
    found = violations_of(*a_history(DONE, status="completed", outcomes="completed", **columns))

    assert any(said in problem for problem in found), found


def test_more_failures_than_attempts_may_fail_are_seen():
    history = a_history(
        "submitted@0 started@1 retrying@1 started@2 failed@2", status="failed", outcomes="error error",
        failures=2, max_attempts=1,
    )  # fmt: skip

    assert violations_of(*history) == [f"task {UUID(int=1)}: 2 failures are counted; 2 of 1 attempts failed"]


@pytest.mark.parametrize("numbers", [[1, 2, 4, 5], [2, 3, 4, 5], [1, 2, 2, 3]])
def test_a_gap_or_a_double_in_the_numbers_is_seen(numbers):
    task, events, attempts = a_history(DONE, status="completed", outcomes="completed", last_seq=numbers[-1])
    for event, number in zip(events, numbers, strict=True):
        event.seq = number

    assert f"task {task.pk}: its events are numbered {numbers}, not 1 to 4" in violations_of(
        task, events, attempts
    )


def test_the_lease_of_another_attempt_is_seen():
    task, events, attempts = a_history("submitted@0 started@1", status="running", outcomes="-")
    task.lease_token = uuid4()

    assert violations_of(task, events, attempts) == [
        f"task {task.pk}: it is running, and its token is not that of its live attempt"
    ]


def test_an_attempt_that_ended_without_an_outcome_is_seen():
    task, events, attempts = a_history(DONE, status="completed", outcomes="completed")
    attempts[0].outcome = None

    assert any("ended at" in problem for problem in violations_of(task, events, attempts))


def test_a_live_attempt_that_is_not_the_latest_is_seen():
    task, events, attempts = a_history(
        "submitted@0 started@1 retrying@1 started@2", status="running", outcomes="- error"
    )
    task.lease_token = attempts[0].token

    assert f"task {task.pk}: attempt 1 is alive, but the latest is 2" in violations_of(task, events, attempts)
