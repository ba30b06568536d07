"""What an agent gets: one surface over any channel, steps that form a tree, requests that are durable."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.context import AgentWorkspace, Assignment, AsyncContext, Context
from gateway.errors import Cancelled


class Recorder:
    """A channel that keeps what it was given."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.cancelled = False

    def emit(self, event: dict[str, Any]) -> None:
        json.dumps(event)  # it will travel as a line of JSON
        self.events.append(event)

    def request(self, event: dict[str, Any]) -> Any:
        self.emit(event)
        return {"kept": event["path"]} if event["type"] == "artifact" else None


class AwaitedRecorder(Recorder):
    async def request(self, event: dict[str, Any]) -> Any:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().request(event)


ASSIGNMENT = Assignment(
    task_id="t1", trace_id="r1", description="Do it", input={"n": 1}, settings={"depth": 2},
    workspace=AgentWorkspace("user_001", Path("/somewhere")), attempt=3, deadline=None, labels={"a": "b"},
    checkpoint={"row": 7},
)  # fmt: skip


@pytest.fixture
def channel() -> Recorder:
    return Recorder()


@pytest.fixture
def ctx(channel) -> Context:
    return Context(ASSIGNMENT, channel)


def without_time(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in event.items() if key != "at"} for event in events]


def test_an_agent_knows_its_task(ctx):
    assert (ctx.task_id, ctx.trace_id, ctx.description, ctx.input) == ("t1", "r1", "Do it", {"n": 1})
    assert (ctx.settings, ctx.attempt, ctx.deadline, ctx.labels) == ({"depth": 2}, 3, None, {"a": "b"})
    assert (ctx.workspace.id, ctx.workspace.path) == ("user_001", Path("/somewhere"))
    assert ctx.checkpoint_data == {"row": 7}


def test_what_an_agent_says_goes_out_as_events(ctx, channel):
    ctx.log("hello")
    ctx.log("careful", level="warning")
    ctx.log(5)
    ctx.progress(40, "almost")
    ctx.text("piece")
    ctx.usage(input_tokens=3, model="m", cost=0.5)

    assert without_time(channel.events) == [
        {"type": "log", "level": "info", "message": "hello", "step": None},
        {"type": "log", "level": "warning", "message": "careful", "step": None},
        {"type": "log", "level": "info", "message": "5", "step": None},
        {"type": "progress", "percent": 40, "message": "almost"},
        {"type": "text", "text": "piece", "step": None},
        {"type": "usage", "input_tokens": 3, "output_tokens": 0, "model": "m", "cost": 0.5},
    ]


def test_every_event_says_when(ctx, channel):
    before = time.time()
    ctx.log("now")

    assert before <= channel.events[0]["at"] <= time.time()


def test_an_artifact_is_what_the_channel_kept(ctx, channel):
    assert ctx.artifact("report.md", title="Report") == {"kept": "report.md"}
    assert without_time(channel.events) == [{"type": "artifact", "path": "report.md", "title": "Report"}]


def test_a_path_may_be_a_path(ctx, channel):
    ctx.artifact(Path("out") / "a.txt")

    assert channel.events[0]["path"] == "out/a.txt"


def test_a_checkpoint_returns_nothing(ctx, channel):
    assert ctx.checkpoint({"row": 8}) is None
    assert without_time(channel.events) == [{"type": "checkpoint", "data": {"row": 8}}]


# --- Steps -------------------------------------------------------------------------------------------------


def test_a_step_tells_its_beginning_and_its_end(ctx, channel):
    with ctx.step("tool", "read_csv", input={"path": "a.csv"}) as step:
        step.text("token")
        step.usage(input_tokens=2, output_tokens=1, model="m", cost=0.1)
        step.usage(input_tokens=3, cost=0.2)
        step.output = [1, 2]

    start, text, end = without_time(channel.events)
    assert start == {
        "type": "step.start", "id": step.id, "parent": None, "kind": "tool", "name": "read_csv",
        "input": {"path": "a.csv"},
    }  # fmt: skip
    assert text == {"type": "text", "text": "token", "step": step.id}
    assert end["usage"] == {
        "input_tokens": 5, "output_tokens": 1, "model": "m", "cost": pytest.approx(0.3),
    }  # fmt: skip
    assert (end["id"], end["status"], end["output"]) == (step.id, "ok", [1, 2])
    assert len(step.id) == 16
    int(step.id, 16)


def test_steps_inside_steps_form_a_tree(ctx, channel):
    with ctx.step("agent", "outer") as outer:
        ctx.log("in outer")
        with ctx.step("llm", "inner") as inner:
            ctx.text("in inner")
        ctx.log("in outer again")
    ctx.log("outside")

    parents = {event["id"]: event["parent"] for event in channel.events if event["type"] == "step.start"}
    assert parents == {outer.id: None, inner.id: outer.id}
    said = [event["step"] for event in channel.events if event["type"] in ("log", "text")]
    assert said == [outer.id, inner.id, outer.id, None]


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (ValueError("no such column"), "error", "ValueError: no such column"),
        (Cancelled("stop"), "interrupted", None),
    ],
)
def test_a_step_that_raises_says_so_and_lets_it_through(ctx, channel, error, status, told):
    def fail():
        with ctx.step("tool", "read"):
            raise error

    with pytest.raises(type(error)):
        fail()

    end = channel.events[-1]
    assert (end["status"], end.get("error")) == (status, told)
    ctx.log("after")
    assert channel.events[-1]["step"] is None


# --- Cancelling --------------------------------------------------------------------------------------------


def test_an_agent_can_look_whether_it_is_to_stop(ctx, channel):
    assert not ctx.cancelled
    ctx.raise_if_cancelled()

    channel.cancelled = True

    assert ctx.cancelled
    with pytest.raises(Cancelled, match="being cancelled"):
        ctx.raise_if_cancelled()


# --- Coroutines --------------------------------------------------------------------------------------------


async def test_a_coroutine_awaits_what_must_be_durable():
    channel = AwaitedRecorder()
    ctx = AsyncContext(ASSIGNMENT, channel)

    assert await ctx.artifact("a.txt") == {"kept": "a.txt"}
    await ctx.checkpoint(5)
    ctx.log("done")

    assert [event["type"] for event in channel.events] == ["artifact", "checkpoint", "log"]


async def test_coroutines_side_by_side_each_have_their_own_steps():
    channel = AwaitedRecorder()
    ctx = AsyncContext(ASSIGNMENT, channel)
    gate = asyncio.Event()

    async def branch(name: str, *, opens: bool) -> str:
        with ctx.step("tool", name) as step:
            if opens:
                gate.set()
            else:
                await gate.wait()
            await asyncio.sleep(0)
            ctx.log(name)
        return step.id

    first, second = await asyncio.gather(branch("first", opens=False), branch("second", opens=True))

    said = {event["message"]: event["step"] for event in channel.events if event["type"] == "log"}
    assert said == {"first": first, "second": second}
    assert all(event["parent"] is None for event in channel.events if event["type"] == "step.start")
