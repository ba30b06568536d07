"""What an agent gets as ``ctx``, over any channel to Gateway. Pure Python, no Django.

The same surface serves a plain function in a child process, a coroutine function on a worker's loop and an
agent that is run by hand: they differ only in the channel that carries its events.
"""

from __future__ import annotations

import secrets
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from gateway.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

Event = dict[str, Any]

# The innermost open step of whatever runs here: coroutines that run side by side each have their own.
_open_step: ContextVar[str | None] = ContextVar("open_step", default=None)


@dataclass(frozen=True)
class AgentWorkspace:
    """The workspace an agent works in: its id, and the folder of its files."""

    id: str
    path: Path


@dataclass(frozen=True)
class Assignment:
    """One attempt at one task, as the agent is told of it."""

    task_id: str
    trace_id: str
    description: str
    input: Any
    settings: Mapping[str, Any]
    workspace: AgentWorkspace
    attempt: int
    deadline: datetime | None
    """When this attempt's time is up; None: no limit."""
    labels: Mapping[str, str]
    checkpoint: Any
    """The last checkpoint of an earlier attempt, or None."""


class Channel(Protocol):
    """Carries an agent's events to Gateway."""

    @property
    def cancelled(self) -> bool:
        """Whether the agent was asked to stop."""

    def emit(self, event: Event) -> None:
        """Hand an event over without waiting; it is stored within 100 ms."""


class WaitingChannel(Channel, Protocol):
    """A channel whose requests block until they are durable."""

    def request(self, event: Event) -> Any:
        """Hand an event over, wait until it is stored, and return what Gateway made of it."""


class AwaitedChannel(Channel, Protocol):
    """A channel whose requests are awaited."""

    async def request(self, event: Event) -> Any:
        """Hand an event over, wait until it is stored, and return what Gateway made of it."""


class Step:
    """One step of a run, as a ``with`` block: set ``output``; an exception marks it as failed."""

    def __init__(self, context: _Surface, kind: str, name: str, input: Any) -> None:
        self.id = secrets.token_hex(8)
        self.output: Any = None
        self._context = context
        self._start: Event = {"kind": kind, "name": name, "input": input}
        self._usage: dict[str, Any] = {}
        self._parent: str | None = None

    def usage(
        self,
        *,
        input_tokens: int = 0,
        output_tokens: int = 0,
        model: str | None = None,
        cost: float | None = None,
    ) -> None:
        """Add what this step used; ``cost`` in US dollars, if it is known."""
        self._usage["input_tokens"] = self._usage.get("input_tokens", 0) + input_tokens
        self._usage["output_tokens"] = self._usage.get("output_tokens", 0) + output_tokens
        if model:
            self._usage["model"] = model
        if cost is not None:
            self._usage["cost"] = self._usage.get("cost", 0.0) + cost

    def text(self, text: str) -> None:
        """Stream a piece of text that this step produced."""
        self._context._emit("text", text=text, step=self.id)

    def __enter__(self) -> Self:
        self._parent = _open_step.get()
        _open_step.set(self.id)
        self._context._emit("step.start", id=self.id, parent=self._parent, **self._start)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _open_step.set(self._parent)
        status = "ok" if error is None else "interrupted" if isinstance(error, Cancelled) else "error"
        event: Event = {"id": self.id, "status": status, "output": self.output, "usage": self._usage}
        if error is not None and status == "error":
            event["error"] = f"{type(error).__name__}: {error}"
        self._context._emit("step.end", **event)


class _Surface:
    """What both kinds of context share: everything that never waits."""

    def __init__(self, assignment: Assignment, channel: Channel) -> None:
        self._assignment = assignment
        self._events = channel
        self.task_id = assignment.task_id
        self.trace_id = assignment.trace_id
        self.description = assignment.description
        self.input = assignment.input
        self.settings = assignment.settings
        self.workspace = assignment.workspace
        self.attempt = assignment.attempt
        self.deadline = assignment.deadline
        self.labels = assignment.labels
        self.checkpoint_data = assignment.checkpoint

    @property
    def cancelled(self) -> bool:
        """Whether the task is being cancelled; long work should look now and then."""
        return self._events.cancelled

    def raise_if_cancelled(self) -> None:
        """Raise ``gateway.errors.Cancelled`` if the task is being cancelled."""
        if self.cancelled:
            raise Cancelled("The task is being cancelled.")

    def step(self, kind: str, name: str, input: Any = None) -> Step:
        """A step of the run: ``with ctx.step("tool", "read_csv", input={…}) as step: step.output = …``.

        ``kind`` is one of agent, llm, tool, chain, retriever, embedding. Steps inside steps form a tree.
        """
        return Step(self, kind, name, input)

    def log(self, message: str, level: str = "info") -> None:
        """Write a line to the task's log; ``level``: debug, info, warning or error."""
        self._emit("log", level=level, message=str(message), step=_open_step.get())

    def progress(self, percent: float, message: str = "") -> None:
        """Say how far the work is, 0 to 100."""
        self._emit("progress", percent=percent, message=message)

    def text(self, text: str) -> None:
        """Stream a piece of the answer."""
        self._emit("text", text=text, step=_open_step.get())

    def usage(
        self,
        *,
        input_tokens: int = 0,
        output_tokens: int = 0,
        model: str | None = None,
        cost: float | None = None,
    ) -> None:
        """Add what the task used outside any step; ``cost`` in US dollars, if it is known."""
        used = {"input_tokens": input_tokens, "output_tokens": output_tokens, "model": model, "cost": cost}
        self._emit("usage", **{key: value for key, value in used.items() if value is not None})

    def _emit(self, type: str, **data: Any) -> None:
        self._events.emit({"type": type, "at": time.time(), **data})


class Context(_Surface):
    """``ctx`` of a plain function: what must be durable blocks until it is."""

    def __init__(self, assignment: Assignment, channel: WaitingChannel) -> None:
        super().__init__(assignment, channel)
        self._channel = channel

    def artifact(self, path: str, title: str = "") -> dict[str, Any]:
        """Keep the workspace's file ``path`` as a result of this task; it is stored when this returns.

        Returns ``{"id", "path", "title", "media_type", "size", "sha256"}``.
        """
        kept: dict[str, Any] = self._channel.request(_artifact(path, title))
        return kept

    def checkpoint(self, data: Any) -> None:
        """Remember JSON ``data`` for a later attempt; it is stored when this returns."""
        self._channel.request({"type": "checkpoint", "at": time.time(), "data": data})


class AsyncContext(_Surface):
    """``ctx`` of a coroutine function: what must be durable is awaited."""

    def __init__(self, assignment: Assignment, channel: AwaitedChannel) -> None:
        super().__init__(assignment, channel)
        self._channel = channel

    async def artifact(self, path: str, title: str = "") -> dict[str, Any]:
        """Keep the workspace's file ``path`` as a result of this task; it is stored when this returns.

        Returns ``{"id", "path", "title", "media_type", "size", "sha256"}``.
        """
        kept: dict[str, Any] = await self._channel.request(_artifact(path, title))
        return kept

    async def checkpoint(self, data: Any) -> None:
        """Remember JSON ``data`` for a later attempt; it is stored when this returns."""
        await self._channel.request({"type": "checkpoint", "at": time.time(), "data": data})


def _artifact(path: str, title: str) -> Event:
    return {"type": "artifact", "at": time.time(), "path": str(path), "title": title}
