"""Runs a plain function in a child process of its own: killable, and never in the worker's way."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.agent_events import SAYABLE, STORABLE
from executor.execution_context import assignment_of, durable, environment_of
from executor.own_threads import in_own_thread
from executor.run import OutputLimit, Run, WorkerLost
from executor.runners import process_tree
from executor.runners.bootstrap import MAX_LINE_BYTES
from executor.runners.child_process import ChildProcess
from executor.runners.line_reader import LineReader
from gateway.errors import AgentNotConfigured, Cancelled, GatewayError, Retryable
from lifecycle.entrypoint import import_path

if TYPE_CHECKING:
    from gateway.context import Assignment

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
MAX_LOG_LINE = 32 * 1024
LEFTOVER_SECONDS = 2.0
"""How long output may still come after the process ended: some child may hold the pipe open."""
ERROR_TAIL = 8_000


class ChildError(Exception):
    """What an agent raised in its child process, described by the child."""

    def __init__(self, message: str, described: Any = None) -> None:
        super().__init__(message)
        self.described = described


class RetryableChildError(ChildError, Retryable):
    """The same, and another attempt may succeed."""

    def __init__(self, message: str, described: Any = None, hint: str = "") -> None:
        Retryable.__init__(self, message, hint=hint)
        self.described = described


async def run_in_child(run: Run) -> Any:
    """Start the child, follow what it says, and return its result; cancelling this stops it for good."""
    assignment = assignment_of(run.claim)
    child = Child(run, assignment)
    # Never cancelled half-way: a process that was started without our knowing could not be stopped.
    started = asyncio.create_task(child.start(environment_of(run.claim, assignment)))
    try:
        await asyncio.shield(started)
        return await child.follow()
    except asyncio.CancelledError:
        await started
        await child.stop()
        raise
    finally:
        await asyncio.shield(child.clear())


class Child:
    """One child process and its three pipes."""

    def __init__(self, run: Run, assignment: Assignment) -> None:
        self._run = run
        self._assignment = assignment
        self._started: ChildProcess | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._requests: set[asyncio.Task[None]] = set()
        self._answer: dict[str, Any] | None = None
        self._error_tail = ""
        self._limit = run.claim.config.limits.output_mb * 1024 * 1024
        self._bytes = 0
        self._over = asyncio.Event()

    async def start(self, environment: dict[str, str]) -> None:
        """Start the process and hand it its assignment."""
        runner = self._run.claim.config.runner
        read_end, write_end = os.pipe()
        try:
            self._started = await ChildProcess.start(
                runner.python or sys.executable,
                str(BOOTSTRAP),
                runner.entrypoint,
                str(write_end),
                str(os.getpid()),
                *import_path(),
                pass_fds=[write_end],
                cwd=self._assignment.workspace.path,
                env=environment,
            )
        except OSError as exc:
            os.close(read_end)
            raise AgentNotConfigured(
                f"{runner.python or sys.executable} cannot be started: {exc.strerror}.",
                hint="Mend runner.python in the agent type's configuration.",
            ) from exc
        finally:
            os.close(write_end)
        self._send(told(self._assignment))
        self._readers = [
            asyncio.create_task(self._read_events(read_end)),
            asyncio.create_task(self._read_log(self._process.output, "info")),
            asyncio.create_task(self._read_log(self._process.errors, "warning")),
        ]

    @property
    def _process(self) -> ChildProcess:
        assert self._started is not None  # noqa: S101 - nothing is asked of a child before it was started
        return self._started

    async def follow(self) -> Any:
        """Wait for the end of the process and return the result that it told."""
        ended = asyncio.create_task(self._process.ended())
        over = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait({ended, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
        if not ended.done():
            raise OutputLimit(
                f"The agent wrote more than {self._run.claim.config.limits.output_mb} MiB of output.",
                hint="Write large output to a file of the workspace, or raise limits.output_mb.",
            )
        code = ended.result()
        if self._answer is None:
            await asyncio.wait(self._readers, timeout=LEFTOVER_SECONDS)
        return self._result(code)

    async def stop(self) -> None:
        """Ask it to stop, then make it: SIGTERM to its group, SIGKILL after the grace."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._send({"type": "cancel"})
        process_tree.kill_group(self._process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.ended(), self._run.grace)
        except TimeoutError:
            self._run.killed = True

    async def clear(self) -> None:
        """Leave nothing behind: the process group, whatever carries the attempt, the pipes."""
        if self._started is None:
            return
        process_tree.kill_group(self._process.pid, signal.SIGKILL)
        claim = self._run.claim
        await in_own_thread(process_tree.kill_marked, str(claim.task_id), claim.attempt)
        await self._process.ended()
        await asyncio.wait(self._readers, timeout=LEFTOVER_SECONDS)
        for task in [*self._readers, *self._requests]:
            task.cancel()
        self._process.close()

    def _result(self, code: int) -> Any:
        answer = self._answer
        if answer is not None and answer["type"] == "result":
            return answer.get("result")
        if answer is not None:
            raise _raised(answer)
        if code < 0 and not self._run.stopping:
            raise WorkerLost(
                f"Its process died of signal {signal.Signals(-code).name}, which Gateway did not send."
            )
        message = f"Its process ended with exit code {code} and no result."
        described = {"exit_code": code, "stderr": self._error_tail}
        if code == 75:
            raise RetryableChildError(message, described)
        raise ChildError(message, described)

    def _send(self, message: dict[str, Any]) -> None:
        self._process.send(json.dumps(message).encode() + b"\n")

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._limit and self._bytes > self._limit:
            self._over.set()

    async def _read_events(self, read_end: int) -> None:
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader()
        pipe = os.fdopen(read_end, "rb")
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
        try:
            await LineReader(stream, MAX_LINE_BYTES, split=False).each(self._event, self._count)
        finally:
            transport.close()

    async def _read_log(self, stream: asyncio.StreamReader, level: str) -> None:
        def write(line: str) -> None:
            if level == "warning":
                self._error_tail = (self._error_tail + line + "\n")[-ERROR_TAIL:]
            if line.strip():
                self._run.say({"type": "log", "level": level, "message": line})

        await LineReader(stream, MAX_LOG_LINE, split=True).each(write, self._count)

    def _event(self, line: str) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            self._run.say({"type": "log", "level": "info", "message": line})
        elif event.get("type") in ("result", "error"):
            self._answer = event
        elif event.get("type") in STORABLE and isinstance(event.get("n"), int):
            request = asyncio.create_task(self._serve(event))
            self._requests.add(request)
            request.add_done_callback(self._requests.discard)
        elif event.get("type") in SAYABLE:
            self._run.say(event)
        else:
            self._run.say({"type": "log", "level": "info", "message": line})

    async def _serve(self, event: dict[str, Any]) -> None:
        number = event.pop("n")
        reply: dict[str, Any] = {"type": "reply", "n": number}
        try:
            reply["value"] = await durable(self._run, event)
        except GatewayError as exc:
            reply |= {"error": exc.message, "hint": exc.hint}
        except (ValueError, OSError) as exc:
            reply["error"] = str(exc)
        self._send(reply)


def told(assignment: Assignment) -> dict[str, Any]:
    """The first line that the child reads."""
    line = {field.name: getattr(assignment, field.name) for field in dataclasses.fields(assignment)}
    line["workspace"] = {"id": assignment.workspace.id, "path": str(assignment.workspace.path)}
    line["deadline"] = assignment.deadline.isoformat() if assignment.deadline else None
    return line


def _raised(answer: dict[str, Any]) -> Exception:
    message, hint = str(answer.get("message", "")), str(answer.get("hint", ""))
    if answer.get("code") == "agent_not_configured":
        return AgentNotConfigured(message, hint=hint)
    if answer.get("code") == "output_limit":
        return OutputLimit(message, hint=hint)
    if answer.get("code") == "cancelled":
        return Cancelled(message)
    if answer.get("retryable"):
        return RetryableChildError(message, answer.get("detail"), hint)
    return ChildError(message, answer.get("detail"))
