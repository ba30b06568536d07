"""Runs an agent's function in this process and shows what it says: no server, no queue, no database."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib
import inspect
import io
import itertools
import mimetypes
import signal
import sys
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from gateway.client.python.cli import exits
from gateway.client.python.cli.follow import LiveScreen, Screen, failed, screen_for, show_result
from gateway.client.python.cli.output import Output
from gateway.client.python.cli.speech import say
from gateway.client.python.types import Event
from gateway.client.result_view import file_table
from gateway.context import AgentWorkspace, Assignment, AsyncContext, Context
from gateway.errors import AgentNotConfigured, Cancelled, GatewayError, NotFound, Retryable

CHUNK = 1024 * 1024


class PrintingChannel:
    """Carries an agent's events to the screen, and keeps what must be kept."""

    def __init__(self, screen: Screen, folder: Path) -> None:
        self.cancelled = False
        self.files: dict[str, dict[str, Any]] = {}
        self._screen = screen
        self._folder = folder
        self._numbers = itertools.count(1)

    def emit(self, event: dict[str, Any]) -> None:
        """Show an event as the server would write it."""
        data = {name: value for name, value in event.items() if name not in ("type", "at")}
        if event["type"] == "step.end":
            # Input and output are kept in the trace, not in the log; here the log is all there is.
            data.setdefault("usage", {})
        self.tell(event["type"], data)

    def request(self, event: dict[str, Any]) -> Any:
        """Do what an agent waits for."""
        if event["type"] == "artifact":
            kept = self._keep(str(event["path"]), str(event.get("title") or ""))
            self.files[kept["path"]] = kept
            self.tell("artifact", kept)
            return kept
        if event["type"] == "checkpoint":
            self.tell("checkpoint", {"size": len(str(event["data"]))})
            return None
        raise AgentNotConfigured(
            f"An agent that is run by hand cannot {event['type']}.", hint="Submit it as a task to a server."
        )

    def tell(self, kind: str, data: dict[str, Any]) -> None:
        """Show one line of the log."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._screen.take(Event(seq=next(self._numbers), type=kind, data=data, attempt=1, at=at))

    def _keep(self, path: str, title: str) -> dict[str, Any]:
        file = (self._folder / path).resolve()
        if not file.is_relative_to(self._folder.resolve()) or not file.is_file():
            raise NotFound(f"There is no file '{path}' in the workspace.")
        digest = hashlib.sha256()
        with file.open("rb") as content:
            while piece := content.read(CHUNK):
                digest.update(piece)
        return {
            "id": uuid.uuid4().hex,
            "path": path,
            "title": title,
            "media_type": mimetypes.guess_type(path)[0] or "application/octet-stream",
            "size": file.stat().st_size,
            "sha256": digest.hexdigest(),
        }


class AwaitedChannel:
    """The same for coroutines."""

    def __init__(self, channel: PrintingChannel) -> None:
        self._channel = channel

    @property
    def cancelled(self) -> bool:
        """Whether the agent was asked to stop."""
        return self._channel.cancelled

    def emit(self, event: dict[str, Any]) -> None:
        """Show an event."""
        self._channel.emit(event)

    async def request(self, event: dict[str, Any]) -> Any:
        """Do what an agent waits for."""
        return await asyncio.to_thread(self._channel.request, event)


class Prints(io.TextIOBase):
    """What an agent prints: log lines, as on a server, so that stdout holds the result alone."""

    def __init__(self, channel: PrintingChannel) -> None:
        self._channel = channel
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._say(line)
        return len(text)

    def close(self) -> None:
        if self._rest:
            self._say(self._rest)
            self._rest = ""
        super().close()

    def _say(self, line: str) -> None:
        self._channel.tell("log", {"level": "info", "message": line, "step": None})


def run_here(
    entrypoint: str, description: str, input: Any, settings: Mapping[str, Any], folder: Path, output: Output
) -> int:
    """Run the agent and show what it came to. Returns the exit code."""
    function = load(entrypoint)
    assignment = Assignment(
        task_id=str(uuid.uuid4()),
        trace_id=str(uuid.uuid4()),
        description=description,
        input=input,
        settings=settings,
        workspace=AgentWorkspace(folder.name, folder),
        attempt=1,
        deadline=None,
        labels={},
        checkpoint=None,
    )
    with screen_for(output, "follow", description) as screen:
        channel = PrintingChannel(screen, folder)
        channel.tell("task.started", {"actor": "local", "reason": None})
        end = _ended(function, assignment, channel)
        channel.tell(end["type"], end["data"])
    return _conclude(end, channel, screen, output)


def load(entrypoint: str) -> Callable[..., Any]:
    """The function that ``module:function`` or ``path/to/file.py:function`` names."""
    sys.path[:0] = [str(Path.cwd())]
    module_name, colon, function_name = entrypoint.rpartition(":")
    if not colon:
        raise AgentNotConfigured(f"'{entrypoint}' names no function.", hint="Write it like my_agents:run")
    try:
        module = _module(module_name)
        function = getattr(module, function_name)
    except (ImportError, AttributeError, OSError) as exc:
        raise AgentNotConfigured(
            f"{entrypoint} cannot be loaded: {exc}.", hint=f"Modules are looked for in {Path.cwd()} first."
        ) from exc
    if not callable(function):
        raise AgentNotConfigured(f"{entrypoint} is no function.")
    return cast("Callable[..., Any]", function)


def _module(name: str) -> Any:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name).resolve()
    sys.path[:0] = [str(path.parent)]
    return importlib.import_module(path.stem)


def _ended(function: Callable[..., Any], assignment: Assignment, channel: PrintingChannel) -> dict[str, Any]:
    """Call the agent; how it ended, as the last event of its log."""
    try:
        with contextlib.closing(Prints(channel)) as prints, contextlib.redirect_stdout(prints):
            result = _called(function, assignment, channel)
        return {"type": "task.completed", "data": {"actor": "local", "reason": None, "result": result}}
    except (Cancelled, asyncio.CancelledError, KeyboardInterrupt):
        return {"type": "task.cancelled", "data": {"actor": "local", "reason": "requested"}}
    except SystemExit as exc:
        if exc.code in (None, 0):
            return {"type": "task.completed", "data": {"actor": "local", "reason": None, "result": None}}
        return _failure(exc)
    except Exception as exc:
        return _failure(exc)


def _called(function: Callable[..., Any], assignment: Assignment, channel: PrintingChannel) -> Any:
    if inspect.iscoroutinefunction(function):
        return asyncio.run(function(AsyncContext(assignment, AwaitedChannel(channel))))
    with _stopping(channel):
        return function(Context(assignment, channel))


@contextlib.contextmanager
def _stopping(channel: PrintingChannel) -> Iterator[None]:
    """Ctrl-C reaches a plain function as a cancelled task's stop does; a second one ends it at once."""

    def stop(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        channel.cancelled = True
        raise Cancelled("The task is being cancelled.")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _failure(exc: BaseException) -> dict[str, Any]:
    known = exc if isinstance(exc, GatewayError) else None
    error = {
        "code": known.code if known else "error",
        "message": (known.message if known else str(exc)) or type(exc).__name__,
        "hint": known.hint if known else "",
        "retryable": isinstance(exc, Retryable),
        "detail": {"exception": type(exc).__name__, "traceback": _traceback(exc)},
    }
    return {"type": "task.failed", "data": {"actor": "local", "reason": "error", "error": error}}


def _traceback(exc: BaseException) -> str:
    """From the agent's own function on: what called it is of no interest."""
    frames = exc.__traceback__
    while frames is not None and frames.tb_next and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(exc), exc, frames))


def _conclude(end: dict[str, Any], channel: PrintingChannel, screen: Screen, output: Output) -> int:
    if end["type"] == "task.cancelled":
        return exits.INTERRUPTED
    error = end["data"].get("error")
    if error is not None:
        if not output.as_json:
            output.talk.print(error["detail"]["traceback"].rstrip(), style="dim", soft_wrap=True)
            if not isinstance(screen, LiveScreen):
                failed(error, output)
            if error["retryable"]:
                output.said(say("A server would try it again."), "yellow")
        return exits.FAILED
    if not output.as_json:
        show_result(end["data"]["result"], output)
        if channel.files and output.for_people:
            output.out.print(file_table(channel.files.values(), say))
    return exits.OK
