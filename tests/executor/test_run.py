"""One attempt in a worker: however the agent ends, misbehaves or is stopped, its end is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from executor import run as run_module
from executor.agent_output import MAX_RESULT_BYTES
from executor.execution_context import durable
from executor.journal import Journal
from executor.models import Attempt, Task, TaskEvent
from executor.run import Run, Stop, WorkerLost
from gateway.errors import AgentNotConfigured, Cancelled, Conflict, InvalidInput, Retryable
from lifecycle.models import Span
from tests import make

pytestmark = pytest.mark.django_db(transaction=True)
Agent = Callable[[Run], Any]


@pytest.fixture
def journal() -> Iterator[Journal]:
    writer = Journal(lambda token: None)
    yield writer
    assert writer.close(30)


@pytest.fixture
def perform(journal):
    """Run ``agent`` as the attempt of a new task; returns the task's row afterwards."""

    def perform(agent: Agent, *, stop: Stop | None = None, cancel: bool = False, **limits: Any) -> Task:
        limits.setdefault("grace_seconds", 0)
        task = make.a_task(make.a_trace(agent_type=make.an_agent_type(**limits)))
        claim = make.a_claim(task)
        if cancel:
            make.manager.cancel_task(task.pk)
        ready = asyncio.Event()

        async def body(run: Run) -> Any:
            ready.set()
            return await agent(run)

        async def work() -> None:
            run = Run(claim, journal, "worker")
            performing = asyncio.create_task(run.perform(body))
            if stop is not None:
                await ready.wait()
                run.stop(stop)
            await performing

        asyncio.run(work())
        return make.fresh(task)

    return perform


def error_of(task: Task) -> dict[str, Any]:
    assert task.error is not None
    return task.error


async def sleep_for_ever(run: Run) -> None:
    await asyncio.Event().wait()


def returning(value: Any) -> Agent:
    async def agent(run: Run) -> Any:
        return value

    return agent


def raising(problem: BaseException) -> Agent:
    async def agent(run: Run) -> None:
        raise problem

    return agent


# --- Results -----------------------------------------------------------------------------------------------


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


CYCLE: list[Any] = []
CYCLE += [CYCLE, CYCLE]


@pytest.mark.parametrize(
    ("result", "stored"),
    [
        (None, None),
        ("text", "text"),
        ({"a": (1, 2)}, {"a": [1, 2]}),
        ("a\x00\ud800", "a?"),
        (float("nan"), "nan"),
        ({1: {2}}, {"1": [2]}),
    ],
    ids=repr,
)
def test_a_result_is_stored_as_json(perform, result, stored):
    task = perform(returning(result))

    assert (task.status, task.result) == ("completed", stored)


def test_a_result_that_is_too_large_fails_with_the_cure(perform):
    task = perform(returning("x" * MAX_RESULT_BYTES))

    assert (task.status, task.reason) == ("failed", "error")
    assert error_of(task)["code"] == "output_limit"
    assert "ctx.artifact()" in error_of(task)["hint"]


@pytest.mark.parametrize("result", [Unspeakable(), {"a": Unspeakable()}, {Unspeakable(): 1}, CYCLE], ids=type)
def test_a_result_that_is_no_data_at_all_ends_the_attempt_too(perform, result):
    assert perform(returning(result)).status in ("completed", "failed")


# --- Failures ----------------------------------------------------------------------------------------------


def test_what_an_agent_raised_is_told_with_its_traceback(perform):
    task = perform(raising(KeyError("column")))

    assert (task.status, task.reason) == ("failed", "error")
    assert error_of(task) == {
        "code": "error", "message": "'column'", "retryable": False, "detail": error_of(task)["detail"],
    }  # fmt: skip
    assert error_of(task)["detail"]["exception"] == "KeyError"
    assert "raise problem" in error_of(task)["detail"]["traceback"]


@pytest.mark.parametrize(
    ("problem", "code", "message", "hint"),
    [
        (ValueError(), "error", "ValueError", ""),
        (ValueError("a\x00\ud800"), "error", "a?", ""),
        (Conflict("It is closed.", hint="Open it."), "error", "It is closed.", "Open it."),
        (AgentNotConfigured("No key.", hint="Set one."), "agent_not_configured", "No key.", "Set one."),
        (WorkerLost("It died of SIGKILL."), "worker_lost", "It died of SIGKILL.", ""),
        (Cancelled("I had enough."), "error", "I had enough.", ""),
    ],
    ids=repr,
)
def test_each_kind_of_failure_says_what_it_is(perform, problem, code, message, hint):
    task = perform(raising(problem), max_attempts=1)

    assert task.status == "failed"
    assert (error_of(task)["code"], error_of(task)["message"]) == (code, message)
    assert error_of(task).get("hint", "") == hint


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_error_without_words_ends_the_attempt_too(perform):
    task = perform(raising(Silent()))

    assert task.status == "failed"
    assert "Silent" in str(error_of(task))


def test_a_long_message_is_cut(perform):
    assert len(error_of(perform(raising(ValueError("x" * 100_000))))["message"]) == 4000


def test_an_agent_that_asks_for_another_attempt_gets_one(perform):
    task = perform(raising(Retryable("503")), retry_on=[])

    assert (task.status, task.reason) == ("pending", "retry")
    assert error_of(task)["retryable"] is True


def test_an_agent_that_cancels_itself_has_failed(perform):
    task = perform(raising(asyncio.CancelledError()))

    assert (task.status, error_of(task)["message"]) == ("failed", "The agent cancelled itself.")


# --- Being stopped -----------------------------------------------------------------------------------------


def test_an_agent_that_runs_too_long_times_out(perform):
    task = perform(sleep_for_ever, timeout_seconds=0.05)

    assert (task.status, task.reason, error_of(task)["code"]) == ("failed", "timeout", "timeout")
    assert "0.05 seconds" in error_of(task)["message"]


def test_a_cancelled_agent_ends_its_task(perform):
    task = perform(sleep_for_ever, stop=Stop.CANCEL, cancel=True)

    assert (task.status, task.reason) == ("cancelled", "requested")


@pytest.mark.parametrize("ends", ["returns", "raises", "raises Cancelled"])
def test_a_cancelled_agent_may_tidy_up_and_end_as_it_likes(perform, ends):
    async def tidy(run: Run) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            run.say({"type": "log", "message": "tidying up"})
        if ends == "raises":
            raise ValueError("half done")
        if ends == "raises Cancelled":
            raise Cancelled("stopped")
        return "almost"

    task = perform(tidy, stop=Stop.CANCEL, cancel=True)

    assert (task.status, task.reason, task.result) == ("cancelled", "requested", None)
    assert make.event_types(task)[-2:] == ["log", "task.cancelled"]


def test_an_agent_that_swallows_its_cancellation_is_abandoned(perform, monkeypatch):
    monkeypatch.setattr(run_module, "ABANDON_SECONDS", 0.05)
    swallowed = 0

    async def stubborn(run: Run) -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1

    task = perform(stubborn, stop=Stop.CANCEL, cancel=True)

    assert (task.status, task.reason) == ("cancelled", "killed")


def test_a_released_run_gives_its_task_back(perform):
    task = perform(sleep_for_ever, stop=Stop.RELEASE)

    assert (task.status, task.reason, task.failures) == ("pending", "released", 0)


def test_a_run_that_was_done_before_it_could_be_released_is_done(perform):
    async def quick(run: Run) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done after all"

    task = perform(quick, stop=Stop.RELEASE)

    assert (task.status, task.result) == ("completed", "done after all")


def test_a_run_that_lost_its_lease_writes_nothing(perform):
    task = perform(sleep_for_ever, stop=Stop.LOST)

    assert task.status == "running"
    assert make.event_types(task) == ["task.submitted", "task.started"]


@pytest.mark.parametrize("first", [Stop.CANCEL, Stop.RELEASE, Stop.TIMEOUT])
def test_the_first_reason_stands_but_a_lost_lease_beats_all(journal, first):
    _, claim = make.a_claimed_task()

    async def ask() -> tuple[Stop | None, Stop | None]:
        run = Run(claim, journal, "worker")
        assert not run.stopping
        run.stop(first)
        run.stop(Stop.CANCEL)
        before = run.stop_reason
        run.stop(Stop.LOST)
        return before, run.stop_reason

    assert asyncio.run(ask()) == (first, Stop.LOST)


# --- Last words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [returning("done"), raising(ValueError("x"))], ids=["returns", "raises"])
def test_steps_that_are_still_open_are_interrupted_before_the_end(perform, ends):
    async def leave_open(run: Run) -> Any:
        for step in ("a", "b"):
            run.say({"type": "step.start", "id": step, "kind": "tool", "name": step})
        run.say({"type": "step.end", "id": "a"})
        return await ends(run)

    task = perform(leave_open)

    assert make.event_types(task)[-2] == "step.end"
    assert dict(Span.objects.values_list("span_id", "status")) == {"a": "ok", "b": "interrupted"}


def test_what_was_dropped_is_said_at_the_end(perform, monkeypatch):
    monkeypatch.setattr("executor.allowance.BURST", 3)
    monkeypatch.setattr("executor.allowance.PER_SECOND", 0)

    async def flood(run: Run) -> None:
        for number in range(10):
            run.say({"type": "log", "message": str(number)})
        run.say({"type": "progress", "percent": 5})

    task = perform(flood)

    dropped = TaskEvent.objects.filter(type="dropped")
    assert sum(event.data["count"] for event in dropped) == 7
    assert make.event_types(task).count("log") == 3
    assert make.event_types(task).count("progress") == 1
    assert make.event_types(task)[-1] == "task.completed"


def test_a_durable_request_is_stored_before_it_returns(perform):
    seen: list[int] = []

    async def checkpoint(run: Run) -> None:
        await asyncio.wrap_future(run.store({"type": "checkpoint", "data": 7}))
        seen.append(await asyncio.to_thread(lambda: _closing(lambda: Task.objects.get().checkpoint)))

    perform(checkpoint)

    assert seen == [7]


def test_a_checkpoint_that_is_too_large_is_refused_with_advice_and_the_run_goes_on(perform):
    async def checkpoint(run: Run) -> str:
        with pytest.raises(InvalidInput, match=r"is too large.*Write large data to a file"):
            await durable(run, {"type": "checkpoint", "data": "x" * 1_100_000})
        await durable(run, {"type": "checkpoint", "data": {"step": 3}})
        return "went on"

    task = perform(checkpoint)

    assert (task.result, task.checkpoint) == ("went on", {"step": 3})


def test_an_agent_cancelled_in_the_middle_of_a_durable_request_ends_like_any_other(perform):
    async def checkpoint(run: Run) -> None:
        while True:
            await asyncio.wrap_future(run.store({"type": "checkpoint", "data": 7}))

    task = perform(checkpoint, stop=Stop.CANCEL, cancel=True)

    assert task.status == "cancelled"
    assert Attempt.objects.get().outcome == "cancelled"


def _closing(look: Callable[[], Any]) -> Any:
    from django.db import connection

    try:
        return look()
    finally:
        connection.close()
