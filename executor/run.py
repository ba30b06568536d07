"""One attempt in this process: what it said, how long it may run, and how it ends."""

from __future__ import annotations

import asyncio
import enum
import logging
import time
import traceback
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from executor.agent_output import MAX_RESULT_BYTES, clean, clean_text, size_of
from executor.allowance import Allowance
from executor.leases import Claim, Ending
from executor.models import Attempt
from gateway.errors import AgentNotConfigured, GatewayError, LeaseLost, Retryable

if TYPE_CHECKING:
    from concurrent.futures import Future

    from executor.journal import Journal

logger = logging.getLogger(__name__)
Outcome = Attempt.Outcome

DROPPABLE = {"text", "log"}
RELEASE_GRACE_SECONDS = 2.0
"""What a run that is given back has to stop: its worker has to write that before it ends itself."""
ABANDON_SECONDS = 2.0
"""How long a runner may take beyond the grace to kill what it started."""


class Stop(enum.Enum):
    """Why a run is asked to stop."""

    CANCEL = "cancel"
    TIMEOUT = "timeout"
    RELEASE = "release"
    LOST = "lost"


class OutputLimit(GatewayError):
    """The agent wrote more than it may."""

    code = "output_limit"


class WorkerLost(Exception):
    """The process of a plain function died of a signal that Gateway did not send."""


class Runner(Protocol):
    """Runs one attempt to its end; cancelling the coroutine stops what it started, by force if need be."""

    async def __call__(self, run: Run) -> Any: ...


_current_run: ContextVar[Run] = ContextVar("current_run")
_owners: WeakKeyDictionary[asyncio.Task[Any], Run] = WeakKeyDictionary()


class Run:
    """One attempt that this process works on."""

    def __init__(self, claim: Claim, journal: Journal, worker: str) -> None:
        self.claim = claim
        self.worker = worker
        self.started = time.monotonic()
        self.stop_reason: Stop | None = None
        self.killed = False
        """Whether it had to be stopped by force."""
        self.body: asyncio.Task[Any] | None = None
        self._journal = journal
        self._allowance = Allowance()
        self._open_steps: dict[str, None] = {}
        self._stop_asked = asyncio.Event()

    @property
    def stopping(self) -> bool:
        """Whether the agent was asked to stop."""
        return self.stop_reason is not None

    @property
    def grace(self) -> float:
        """Seconds that the agent has to stop by itself once it was asked to."""
        if self.stop_reason is Stop.LOST:
            return 0.0  # another attempt may run already
        grace = self.claim.config.limits.grace_seconds
        return min(grace, RELEASE_GRACE_SECONDS) if self.stop_reason is Stop.RELEASE else grace

    @property
    def out_of_time(self) -> bool:
        """Whether the attempt has run longer than it may."""
        limit = self.claim.timeout_seconds
        return bool(limit) and time.monotonic() - self.started > limit

    def say(self, event: dict[str, Any]) -> None:
        """Write an event of the agent; what it may not write any more is counted instead."""
        kind = str(event.get("type"))
        if kind in DROPPABLE and not self._may_write(kind):
            return
        self._note_step(event)
        self._say_dropped(at_end=False)
        self._journal.say(self.claim.token, event)

    def store(self, event: dict[str, Any]) -> Future[None]:
        """Write an event durably."""
        return self._journal.store(self.claim.token, event)

    def stop(self, reason: Stop) -> None:
        """Ask the run to stop (on its loop); the first reason stands, except that a lost lease beats all."""
        if self.stop_reason is None or reason is Stop.LOST:
            self.stop_reason = reason
        self._stop_asked.set()

    async def perform(self, runner: Runner) -> None:
        """Run the agent and write how it ended. Never raises."""
        _current_run.set(self)
        limit = self.claim.timeout_seconds
        self.body = asyncio.create_task(runner(self), name=f"task {self.claim.task_id}")
        asked = asyncio.create_task(self._stop_asked.wait())
        try:
            await asyncio.wait({self.body, asked}, timeout=limit or None, return_when=asyncio.FIRST_COMPLETED)
            if not self.body.done():
                self.stop(self.stop_reason or Stop.TIMEOUT)
                await self._end_body(self.body)
        finally:
            asked.cancel()
        ending = self._ending(self.body)
        if ending is not None:
            await self.write_end(ending)

    async def write_end(self, ending: Ending) -> None:
        """Write the end; a result that the database refuses fails the attempt instead."""
        for event in self._last_words():
            self._journal.say(self.claim.token, event)
        try:
            stood = await asyncio.wrap_future(self._journal.end(ending))
        except ValueError as exc:
            failed = self._failure(Outcome.ERROR, error_of("error", str(exc)))
            stood = await asyncio.wrap_future(self._journal.end(failed))
        if not stood:
            logger.warning("Task %s attempt %s lost its lease.", self.claim.task_id, self.claim.attempt)

    def ending_for(self, reason: Stop) -> Ending:
        """The end of a run that was stopped for ``reason``."""
        if reason is Stop.TIMEOUT:
            return self._failure(Outcome.TIMEOUT, self._timeout_error())
        outcome = Outcome.RELEASED if reason is Stop.RELEASE else Outcome.CANCELLED
        return Ending(self.claim.token, self.claim.task_id, outcome, self.worker, killed=self.killed)

    def _timeout_error(self) -> dict[str, Any]:
        if self.out_of_time:
            return error_of("timeout", f"It ran longer than its {self.claim.timeout_seconds:g} seconds.")
        hint = "Await what takes long, use asyncio.to_thread, or make the agent a plain function (def)."
        return error_of("timeout", "It blocked the event loop that it shares with other runs.", hint=hint)

    def lost(self, why: str) -> Ending:
        """The end of a run that its worker cannot go on with, and that may be to blame for it."""
        error = error_of("worker_lost", f"Attempt {self.claim.attempt} was lost: {why}.", retryable=True)
        return self._failure(Outcome.WORKER_LOST, error)

    async def _end_body(self, body: asyncio.Task[Any]) -> None:
        body.cancel()
        done, _ = await asyncio.wait({body}, timeout=self.grace + ABANDON_SECONDS)
        if not done:
            # A coroutine that swallows its cancellation cannot be killed; its writes are fenced off.
            self.killed = True
            logger.error("Task %s ignores that it was stopped; it is abandoned.", self.claim.task_id)
            body.cancel()

    def _ending(self, body: asyncio.Task[Any]) -> Ending | None:
        reason = self.stop_reason
        if reason is Stop.LOST:
            return None
        if reason is Stop.TIMEOUT or (reason is not None and (not body.done() or _was_stopped(body))):
            return self.ending_for(reason)
        if body.cancelled():
            return self._failure(Outcome.ERROR, error_of("error", "The agent cancelled itself."))
        problem = body.exception()
        return self._completed(body.result()) if problem is None else self._failed(problem)

    def _completed(self, result: Any) -> Ending:
        try:
            cleaned = clean(result)
            size = size_of(cleaned)
        except Exception as exc:  # an object that is a dict or list by name only
            return self._failure(Outcome.ERROR, describe(exc, retryable=False))
        if size > MAX_RESULT_BYTES:
            message = f"The result has {size:,} bytes; at most {MAX_RESULT_BYTES:,} can be stored."
            hint = "Write it to a file of the workspace and keep that with ctx.artifact()."
            return self._failure(Outcome.ERROR, error_of("output_limit", message, hint=hint))
        return Ending(self.claim.token, self.claim.task_id, Outcome.COMPLETED, self.worker, result=cleaned)

    def _failed(self, problem: BaseException) -> Ending:
        if isinstance(problem, WorkerLost):
            return self._failure(Outcome.WORKER_LOST, error_of("worker_lost", str(problem), retryable=True))
        if isinstance(problem, AgentNotConfigured):
            error = error_of("agent_not_configured", problem.message, hint=problem.hint)
            return self._failure(Outcome.AGENT_NOT_CONFIGURED, error)
        if isinstance(problem, OutputLimit):
            return self._failure(Outcome.ERROR, error_of(problem.code, problem.message, hint=problem.hint))
        return self._failure(Outcome.ERROR, describe(problem, retryable=isinstance(problem, Retryable)))

    def _failure(self, outcome: Attempt.Outcome, error: dict[str, Any]) -> Ending:
        return Ending(self.claim.token, self.claim.task_id, outcome, self.worker, error=error)

    def _may_write(self, kind: str) -> bool:
        if self._journal.is_full:  # the database cannot be written: text waits in memory, but not without end
            self._allowance.drop(kind)
            return False
        return self._allowance.take(kind)

    def _note_step(self, event: dict[str, Any]) -> None:
        step = str(event.get("id"))
        if event["type"] == "step.start":
            self._open_steps[step] = None
        elif event["type"] == "step.end":
            self._open_steps.pop(step, None)

    def _say_dropped(self, *, at_end: bool) -> None:
        for kind, count in self._allowance.dropped(at_end=at_end).items():
            self._journal.say(
                self.claim.token, {"type": "dropped", "kind": kind, "count": count, "at": time.time()}
            )

    def _last_words(self) -> list[dict[str, Any]]:
        self._say_dropped(at_end=True)
        now = time.time()
        left, self._open_steps = reversed(self._open_steps), {}
        return [{"type": "step.end", "id": step, "status": "interrupted", "at": now} for step in left]


def owned_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """A task factory that remembers for which run a task was made, however deep inside the agent."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    run = _current_run.get(None)
    if run is not None:
        _owners[task] = run
    return task


def owner_of(task: asyncio.Task[Any]) -> Run | None:
    """The run for which ``task`` was made."""
    return _owners.get(task)


def error_of(
    code: str, message: str, *, detail: Any = None, retryable: bool = False, hint: str = ""
) -> dict[str, Any]:
    """A task's ``error``."""
    error = {
        "code": code,
        "message": clean_text(message, 4000),
        "detail": clean(detail),
        "retryable": retryable,
    }
    return error | {"hint": hint} if hint else error


def describe(problem: BaseException, *, retryable: bool) -> dict[str, Any]:
    """What an agent raised, with its class and traceback in ``detail``."""
    lines = traceback.format_exception(problem)
    known: dict[str, Any] | None = getattr(problem, "described", None)  # raised in a child process
    detail = known or {"exception": type(problem).__name__, "traceback": "".join(lines)[-16_000:]}
    message = problem.message if isinstance(problem, GatewayError) else clean_text(problem)
    hint = problem.hint if isinstance(problem, GatewayError) else ""
    return error_of("error", message or type(problem).__name__, detail=detail, retryable=retryable, hint=hint)


def _was_stopped(body: asyncio.Task[Any]) -> bool:
    if body.cancelled():
        return True
    return isinstance(body.exception(), LeaseLost | asyncio.CancelledError) or _is_cancelled(body.exception())


def _is_cancelled(problem: BaseException | None) -> bool:
    return isinstance(problem, GatewayError) and problem.code == "cancelled"
