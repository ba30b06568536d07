"""Run by path in a child process: calls one plain function and speaks JSON lines with its worker.

``bootstrap.py MODULE:FUNCTION EVENTS_FD PARENT_PID IMPORT_PATH…``. Standard library and ``gateway`` only: the
interpreter may be any Python that a site names. Events go to a pipe of their own, so that whatever the
agent prints is a line of its log and never mistaken for an event. stdin carries the assignment, then
``{"type": "cancel"}`` and the replies to requests.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import traceback
from typing import Any

EXIT_RETRYABLE = 75
MAX_LINE_BYTES = 4 * 1024 * 1024
"""The longest line that the worker reads."""


class PipeChannel:
    """Events into the pipe, replies from stdin."""

    def __init__(self, events: int) -> None:
        self.cancelled = False
        self._events = events
        self._lock = threading.Lock()
        self._replies: dict[int, dict[str, Any]] = {}
        self._replied = threading.Condition()
        self._last = 0
        self._closed = False

    def emit(self, event: dict[str, Any]) -> None:
        """Write one line; a worker that is gone takes this process with it, so nothing is caught here."""
        line = json.dumps(event, default=str).encode() + b"\n"
        if len(line) > MAX_LINE_BYTES:
            raise too_large(event, len(line))
        with self._lock:
            while line:
                line = line[os.write(self._events, line) :]

    def request(self, event: dict[str, Any]) -> Any:
        """Write one line and wait for its reply; raises what Gateway refused."""
        from gateway.errors import AgentError

        with self._replied:
            self._last += 1
            number = self._last
        self.emit({**event, "n": number})
        with self._replied:
            self._replied.wait_for(lambda: number in self._replies or self._closed)
            reply = self._replies.pop(number, {"error": "Gateway is gone."})
        if "error" in reply:
            raise AgentError(reply["error"], hint=reply.get("hint", ""))
        return reply.get("value")

    def listen(self) -> None:
        """Read stdin until it ends."""
        for line in sys.stdin.buffer:
            message = json.loads(line)
            if message["type"] == "cancel":
                self.cancelled = True
            else:
                with self._replied:
                    self._replies[message["n"]] = message
                    self._replied.notify_all()
        with self._replied:
            self._closed = True
            self._replied.notify_all()


def too_large(event: dict[str, Any], size: int) -> Exception:
    """The error for an event that the worker would not read."""
    from gateway.errors import AgentError

    class TooLarge(AgentError):
        code = "output_limit"

    return TooLarge(
        f"A {event['type']} of {size:,} bytes is too large; at most {MAX_LINE_BYTES:,} are taken.",
        hint="Write it to a file of the workspace and keep that with ctx.artifact().",
    )


class AwaitedPipe:
    """The same channel for a coroutine function."""

    def __init__(self, channel: PipeChannel) -> None:
        self._channel = channel

    @property
    def cancelled(self) -> bool:
        return self._channel.cancelled

    def emit(self, event: dict[str, Any]) -> None:
        self._channel.emit(event)

    async def request(self, event: dict[str, Any]) -> Any:
        import asyncio

        return await asyncio.to_thread(self._channel.request, event)


def die_with(parent: int) -> None:
    """Let the kernel kill this process when its worker dies; on Linux only."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def call(entrypoint: str, channel: PipeChannel, assignment: Any) -> Any:
    """Import the function and call it."""
    import asyncio
    import importlib
    import inspect

    from gateway.context import AsyncContext, Context
    from gateway.errors import AgentNotConfigured

    module_name, _, function_name = entrypoint.partition(":")
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as exc:
        raise AgentNotConfigured(
            f"{entrypoint} cannot be loaded: {exc}.", hint="Install what it needs."
        ) from exc
    if inspect.iscoroutinefunction(function):
        return asyncio.run(function(AsyncContext(assignment, AwaitedPipe(channel))))
    return function(Context(assignment, channel))


def failure(exc: BaseException) -> dict[str, Any]:
    """The error line for what the agent raised."""
    from gateway.errors import GatewayError, Retryable

    known = exc if isinstance(exc, GatewayError) else None
    return {
        "type": "error",
        "code": known.code if known else "error",
        "message": (known.message if known else str(exc)) or type(exc).__name__,
        "hint": known.hint if known else "",
        "retryable": isinstance(exc, Retryable),
        "detail": {
            "exception": type(exc).__name__,
            "traceback": "".join(traceback.format_exception(exc))[-16_000:],
        },
    }


def main(entrypoint: str, events: str, parent: str, *import_path: str) -> int:
    die_with(int(parent))
    sys.path[:1] = import_path  # in place of this file's own folder
    os.set_inheritable(int(events), False)
    from gateway.context import AgentWorkspace, Assignment
    from gateway.errors import Cancelled

    def on_stop(number: int, frame: object) -> None:
        channel.cancelled = True
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Cancelled("The task is being cancelled.")

    channel = PipeChannel(int(events))
    told = json.loads(sys.stdin.buffer.readline())
    told["workspace"] = AgentWorkspace(told["workspace"]["id"], Path(told["workspace"]["path"]))
    told["deadline"] = datetime.fromisoformat(told["deadline"]) if told["deadline"] else None
    threading.Thread(target=channel.listen, daemon=True).start()
    try:
        signal.signal(signal.SIGTERM, on_stop)
        result = call(entrypoint, channel, Assignment(**told))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        channel.emit({"type": "result", "result": result})
    except SystemExit as exc:
        if exc.code in (None, 0):
            channel.emit({"type": "result", "result": None})
            return 0
        return exc.code if isinstance(exc.code, int) else 1
    except BaseException as exc:
        channel.emit(failure(exc))
        return EXIT_RETRYABLE if failure(exc)["retryable"] else 1
    return 0


if __name__ == "__main__":
    from datetime import datetime
    from pathlib import Path

    code = main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads that the agent left behind do not hold up its end
