"""A task's live view in a terminal, made from its events."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

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


class TaskView:
    """Feed it events in order; render it at any time, also while the task runs."""

    def __init__(self, title: str, words: Words) -> None:
        self.status = "pending"
        self._title = title
        self._words = words
        self._steps: dict[str, dict[str, Any]] = {}
        self._lines: list[Text] = []
        self._percent = 0.0
        self._message = ""
        self._began = time.monotonic()
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
            self._percent, self._message = float(data["percent"]), str(data["message"])
        elif kind == "step.start":
            self._steps[data["id"]] = {**data, "status": "running", "began": _seconds(event)}
        elif kind == "step.end" and data["id"] in self._steps:
            self._steps[data["id"]] |= {"status": data["status"], "ended": _seconds(event)}
        elif kind == "log":
            self._line(str(data["message"]), LEVEL_STYLES.get(data["level"], ""))
        elif kind == "dropped":
            self._line(self._words("{count} log lines were dropped.", count=data["count"]), "yellow")

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = [self._headline(), *self._step_lines()]
        if self._lines:
            parts.append(Padding(Group(*self._lines[-LOG_LINES:]), (0, 0, 0, 4)))
        return Group(*parts)

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
            Text(self._title, style="bold"),
            bar,
            Text(self._words(self.status), style=style),
            Text(told, "dim"),
        )
        return line

    def _step_lines(self) -> list[RenderableType]:
        return [self._step_line(step) for step in self._steps.values()]

    def _step_line(self, step: dict[str, Any]) -> RenderableType:
        indent = 2 + 2 * self._depth(step)
        line = Table.grid(padding=(0, 1))
        running = step["status"] == "running"
        style = {"ok": "green", "error": "red", "running": "cyan"}.get(step["status"], "yellow")
        took = "" if running else f"{step['ended'] - step['began']:.2f} s"
        mark: RenderableType = self._spinner if running else Text(MARKS[step["status"]], style=style)
        line.add_row(mark, Text(step["name"]), Text(step["kind"], "dim"), Text(took, "dim"))
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
            Text(line, style=style, overflow="ellipsis", no_wrap=True) for line in text.splitlines()[:20]
        ]


def _seconds(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["at"].replace("Z", "+00:00")).timestamp()
