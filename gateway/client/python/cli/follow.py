"""Following a task in the terminal: live, by lines, as JSON, or silently until it ends."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import typer
from rich.live import Live
from rich.text import Text

from gateway.client.printable import printable
from gateway.client.python.cli import exits
from gateway.client.python.cli.output import Output, one_line
from gateway.client.python.cli.refusals import error_sentence
from gateway.client.python.cli.speech import say
from gateway.client.python.client import GatewayClient
from gateway.client.python.streams import FINAL
from gateway.client.python.types import Event, Task
from gateway.client.result_view import file_table, result_panel
from gateway.client.task_lines import TaskLines
from gateway.client.task_view import TaskView
from gateway.errors import GatewayError

try:
    import termios
except ImportError:  # not on Windows
    termios = None  # type: ignore[assignment]

Manner = Literal["follow", "wait"]
FRAMES_PER_SECOND = 12


class Screen(Protocol):
    """Shows a task as it goes."""

    def take(self, event: Event) -> None:
        """Show one more event."""

    def note(self, text: str) -> None:
        """Show what happens on the way to the server; an empty text takes it back."""


class LiveScreen:
    """A view that is drawn again and again."""

    def __init__(self, view: TaskView) -> None:
        self.view = view

    def take(self, event: Event) -> None:
        self.view.note = ""
        self.view.take(dict(event))

    def note(self, text: str) -> None:
        self.view.note = text


class LineScreen:
    """One line after another on stderr."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._lines = TaskLines(say)

    def take(self, event: Event) -> None:
        for line in self._lines.take(dict(event)):
            self._output.talk_line(line)

    def note(self, text: str) -> None:
        if text:
            self._output.talk_line(text)


class JsonScreen:
    """One event a line on stdout."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def take(self, event: Event) -> None:
        self._output.json_line(event)

    def note(self, text: str) -> None:
        if text:
            self._output.talk_line(text)


class SilentScreen:
    """Shows nothing."""

    def take(self, event: Event) -> None:
        pass

    def note(self, text: str) -> None:
        pass


@contextlib.contextmanager
def screen_for(output: Output, manner: Manner, title: str) -> Iterator[Screen]:
    """What suits the terminal, the option ``--json`` and the manner."""
    if manner == "follow" and output.as_json:
        yield JsonScreen(output)
    elif output.talk.is_terminal and not output.as_json:
        view = TaskView(one_line(printable(title)), say, brief=manner == "wait")
        passing = manner == "wait"
        with Live(view, console=output.talk, refresh_per_second=FRAMES_PER_SECOND, transient=passing):
            yield LiveScreen(view)
    else:
        yield LineScreen(output) if manner == "follow" else SilentScreen()


@contextlib.contextmanager
def no_key_echo() -> Iterator[None]:
    """Keep the terminal from writing ``^C`` into a view that is drawn again and again."""
    if termios is None or not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    quiet = [*before[:3], before[3] & ~termios.ECHOCTL, *before[4:]]
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


@dataclass(frozen=True)
class News:
    """What the reading thread reports."""

    event: Event | None = None
    cut: GatewayError | None = None
    error: Exception | None = None
    ended: bool = False


class Reader(threading.Thread):
    """Reads the stream beside the terminal: a deadline or Ctrl-C need not wait for a silent server."""

    def __init__(self, client: GatewayClient, task_id: str, after: int) -> None:
        super().__init__(daemon=True)
        self.news: queue.Queue[News] = queue.Queue(maxsize=10_000)
        self._stream = client.stream_events(task_id, after, on_cut=lambda cut: self.news.put(News(cut=cut)))

    def run(self) -> None:
        try:
            for event in self._stream:
                self.news.put(News(event=event))
            self.news.put(News(ended=True))
        except Exception as exc:  # shown and counted where the terminal is
            self.news.put(News(error=exc))


class Detached(Exception):
    """Following ends while the task goes on: the exit code, and what to tell."""

    def __init__(self, code: int, text: str, style: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.style = style


def follow(
    client: GatewayClient,
    task: Task,
    output: Output,
    manner: Manner,
    *,
    after: int = 0,
    timeout: float | None = None,
) -> int:
    """Show the task until it ends, then what it came to. Returns the exit code."""
    try:
        with no_key_echo(), screen_for(output, manner, task["description"]) as screen:
            told = _show(client, task, screen, output, after, timeout)
    except Detached as detached:
        output.said(detached.text, detached.style)
        if output.as_json and manner == "wait":
            output.json(client.get_task(task["id"]))
        return detached.code
    except KeyboardInterrupt:
        output.said(
            say("Detached; the task goes on. To come back: {command}", command=back_to(task["id"])), ""
        )
        return exits.INTERRUPTED
    return conclude(client, client.get_task(task["id"]), output, manner, told=told and manner == "follow")


def back_to(task_id: str) -> str:
    """The command that follows the task again."""
    return f"gateway task follow {task_id}"


def _show(
    client: GatewayClient, task: Task, screen: Screen, output: Output, after: int, timeout: float | None
) -> bool:
    """Show events as they come. Returns whether the final one was among them."""
    give_up_at = None if timeout is None else time.monotonic() + timeout
    reader = Reader(client, task["id"], after)
    reader.start()
    while True:
        try:
            left = None if give_up_at is None else max(0.0, give_up_at - time.monotonic())
            news = reader.news.get(timeout=left)
        except queue.Empty:
            text = say(
                "Not finished within {seconds} s; the task goes on. To come back: {command}",
                seconds=f"{timeout:g}",
                command=back_to(task["id"]),
            )
            raise Detached(exits.TIMED_OUT, text, "yellow") from None
        if news.error is not None:
            raise news.error
        if news.ended:
            return False
        if news.cut is not None:
            screen.note(say("{problem} Trying again …", problem=error_sentence(news.cut)))
        if news.event is not None:
            screen.take(news.event)
            if news.event["type"] in FINAL:
                return True
            _leave_questions(client, task["id"], news.event, output)


def _leave_questions(client: GatewayClient, task_id: str, event: Event, output: Output) -> None:
    """Leave if the task waits for an answer and nobody is here to give it."""
    if event["type"] != "task.waiting" or (sys.stdin.isatty() and output.talk.is_terminal):
        return
    task = client.get_task(task_id)
    if task["status"] == "waiting" and task["reason"] == "ask":
        question = next((ask["question"] for ask in task["asks"]), "")
        text = say("The task waits for an answer: {question}", question=question)
        raise Detached(exits.WAITING, text, "magenta")


def conclude(client: GatewayClient, task: Task, output: Output, manner: Manner, *, told: bool) -> int:
    """Say what a final task came to, except why it failed if that was ``told``. Returns the exit code."""
    code = exits.OF_STATUS.get(task["status"], exits.FAILED)
    if output.as_json:
        if manner == "wait":
            output.json(task)
        return code
    if task["status"] == "completed":
        show_result(task["result"], output)
        files = client.list_artifacts(task["id"])
        if files and output.for_people:
            output.out.print(file_table(files, say))
    elif task["status"] == "failed":
        if not told:
            failed(task["error"], output)
    else:
        output.said(say("The task was cancelled."), "yellow")
    return code


def show_result(result: Any, output: Output) -> None:
    """The result: in a frame for people, else as it is."""
    if output.for_people:
        panel = result_panel(result, say)
        if panel is not None:
            output.out.print(panel)
    elif isinstance(result, str):
        output.line(result)
    elif result is not None:
        output.json(result)


def failed(error: dict[str, Any] | None, output: Output) -> None:
    """Why a task failed, and what to do."""
    message = (error or {}).get("message") or say("failed")
    output.talk.print(Text(f"✗ {printable(str(message))}", "red"), soft_wrap=True)
    if error and error.get("hint"):
        output.said(say("What to do: {hint}", hint=error["hint"]), "yellow")


def exit_with(code: int) -> None:
    """End the command with ``code``."""
    if code:
        raise typer.Exit(code)
