"""A task's live view in a terminal, made from its events."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from gateway.client.printable import printable

if TYPE_CHECKING:
    from gateway.client.words import Words

STYLES = {
    "pending": "yellow",
    "running": "cyan",
    "waiting": "magenta",
    "cancelling": "yellow",
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
}
MARKS = {"completed": "✓", "failed": "✗", "cancelled": "■", "ok": "✓", "error": "✗", "interrupted": "■"}
STATUS_OF = {
    "task.submitted": "pending",
    "task.started": "running",
    "task.resumed": "running",
    "task.waiting": "waiting",
    "task.cancelling": "cancelling",
    "task.retrying": "pending",
    "task.released": "pending",
    "task.completed": "completed",
    "task.failed": "failed",
    "task.cancelled": "cancelled",
}
LEVEL_STYLES = {"error": "red", "warning": "yellow", "debug": "dim"}
LOG_LINES = 6
TEXT_LINES = 8
STEP_LINES = 12
"""The newest that are shown; a live view must not outgrow the terminal."""
TEXT_KEPT = 4_000


class TaskView:
    """Feed it events in order; render it at any time, also while the task runs."""

    def __init__(self, title: str, words: Words, *, brief: bool = False) -> None:
        """``brief`` leaves it at one line: how far the task is."""
        self.status = "pending"
        self.note = ""
        """Shown below the task, such as a lost connection; set by whoever follows it."""
        self._title = title
        self._words = words
        self._brief = brief
        self._steps: dict[str, dict[str, Any]] = {}
        self._lines: list[Text] = []
        self._text = ""
        self._percent = 0.0
        self._message = ""
        self._spinner = Spinner("dots", style="cyan")

    @property
    def final(self) -> bool:
        """Whether the task has ended."""
        return self.status in ("completed", "failed", "cancelled")

    def take(self, event: dict[str, Any]) -> None:
        """Show one more event."""
        kind, data = event["type"], event["data"]
        if kind in STATUS_OF:
            self.status = STATUS_OF[kind]
            self._note_failure(event)
        elif kind == "progress":
            self._percent, self._message = float(data["percent"]), printable(str(data["message"]))
        elif kind == "step.start":
            self._steps[data["id"]] = {**data, "status": "running", "began": seconds_of(event)}
        elif kind == "step.end" and data["id"] in self._steps:
            self._steps[data["id"]] |= {"status": data["status"], "ended": seconds_of(event)}
        else:
            self._take_words(kind, data)

    def _take_words(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "log":
            self._line(str(data["message"]), LEVEL_STYLES.get(data["level"], ""))
        elif kind == "text":
            self._text = (self._text + printable(str(data["text"])))[-TEXT_KEPT:]
        elif kind == "ask":
            self._line(self._words("Asks: {question}", question=data["question"]), "magenta")
        elif kind == "dropped":
            self._line(self._words("{count} log lines were dropped.", count=data["count"]), "yellow")

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = [self._headline()]
        if not self._brief:
            parts += self._step_lines()
            if self._lines:
                parts.append(Padding(Group(*self._lines[-LOG_LINES:]), (0, 0, 0, 4)))
            if self._text and not self.final:
                parts.append(Padding(Group(*self._text_lines()), (0, 0, 0, 4)))
        if self.note:
            parts.append(Text(self.note, "yellow", no_wrap=True, overflow="ellipsis"))
        return Group(*parts)

    def _text_lines(self) -> list[Text]:
        return [
            Text(line, no_wrap=True, overflow="ellipsis") for line in self._text.splitlines()[-TEXT_LINES:]
        ]

    def _headline(self) -> RenderableType:
        style = STYLES[self.status]
        line = Table.grid(padding=(0, 1))
        mark: RenderableType = Text(MARKS[self.status], style=style) if self.final else self._spinner
        bar = ProgressBar(
            total=100,
            completed=100 if self.status == "completed" else self._percent,
            width=24,
            complete_style=style,
            finished_style=style,
        )
        told = "" if self.final else self._message
        line.add_row(
            mark,
            Text(self._title, style="bold", no_wrap=True, overflow="ellipsis"),
            bar,
            Text(self._words(self.status), style=style, no_wrap=True),
            Text(told, "dim", no_wrap=True, overflow="ellipsis"),
        )
        return line

    def _step_lines(self) -> list[RenderableType]:
        steps = list(self._steps.values())  # at once: the screen is drawn by a thread of its own
        hidden = len(steps) - STEP_LINES
        if hidden <= 1:
            return [self._step_line(step) for step in steps]
        earlier = Text(self._words("… {count} earlier steps", count=hidden), "dim")
        return [Padding(earlier, (0, 0, 0, 2)), *[self._step_line(step) for step in steps[hidden:]]]

    def _step_line(self, step: dict[str, Any]) -> RenderableType:
        indent = 2 + 2 * self._depth(step)
        line = Table.grid(padding=(0, 1))
        running = step["status"] == "running"
        style = {"ok": "green", "error": "red", "running": "cyan"}.get(step["status"], "yellow")
        took = "" if running else f"{step['ended'] - step['began']:.2f} s"
        mark: RenderableType = self._spinner if running else Text(MARKS[step["status"]], style=style)
        line.add_row(
            mark,
            Text(printable(step["name"]), no_wrap=True, overflow="ellipsis"),
            Text(step["kind"], "dim"),
            Text(took, "dim"),
        )
        return Padding(line, (0, 0, 0, indent))

    def _depth(self, step: dict[str, Any]) -> int:
        depth = 0
        while (parent := self._steps.get(step.get("parent") or "")) is not None and depth < 10:
            step, depth = parent, depth + 1
        return depth

    def _note_failure(self, event: dict[str, Any]) -> None:
        error = event["data"].get("error")
        if not error:
            return
        self._line(
            self._words(
                "Attempt {number} failed: {message}", number=event["attempt"], message=error["message"]
            ),
            "red",
        )
        if error.get("hint"):
            self._line(self._words("What to do: {hint}", hint=error["hint"]), "yellow")
        if event["type"] == "task.retrying":
            due = datetime.fromisoformat(event["data"]["run_at"]).astimezone()
            self._line(self._words("Trying again at {time}.", time=f"{due:%H:%M:%S}"), "yellow")

    def _line(self, text: str, style: str) -> None:
        self._lines += [
            Text(line, style=style, overflow="ellipsis", no_wrap=True)
            for line in printable(text).splitlines()[:20]
        ]


def seconds_of(event: dict[str, Any]) -> float:
    """When the event happened, in seconds since 1970."""
    return datetime.fromisoformat(event["at"].replace("Z", "+00:00")).timestamp()
