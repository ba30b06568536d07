"""A task's events as plain lines, for logs and pipes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gateway.client.printable import printable
from gateway.client.task_view import MARKS, STATUS_OF, seconds_of

if TYPE_CHECKING:
    from gateway.client.words import Words


# What tells itself: what stands before it, and where it is.
SAID = {"log": ("", "message"), "text": ("", "text"), "artifact": ("+ ", "path"), "ask": ("? ", "question")}


class TaskLines:
    """Feed it events in order; it gives the lines that tell of them."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._steps: dict[str, tuple[str, float]] = {}

    def take(self, event: dict[str, Any]) -> list[str]:
        """The lines for one more event; most have one, some none."""
        at = datetime.fromisoformat(event["at"].replace("Z", "+00:00")).astimezone()
        return [
            f"{at:%H:%M:%S}  {printable(line)}" for text in self._texts(event) for line in text.splitlines()
        ]

    def _texts(self, event: dict[str, Any]) -> Iterator[str]:
        kind, data = event["type"], event["data"]
        if kind in STATUS_OF:
            yield from self._status(event)
        elif kind == "progress":
            yield f"{float(data['percent']):.0f} % {data['message']}".rstrip()
        elif kind == "step.start":
            self._steps[data["id"]] = (str(data["name"]), seconds_of(event))
            yield f"▸ {data['name']}"
        elif kind == "step.end":
            name, began = self._steps.pop(data["id"], ("", seconds_of(event)))
            yield f"{MARKS[data['status']]} {name} {seconds_of(event) - began:.2f} s"
        elif kind == "dropped":
            yield self._words("{count} log lines were dropped.", count=data["count"])
        elif kind in SAID:
            before, key = SAID[kind]
            yield f"{before}{data[key]}"

    def _status(self, event: dict[str, Any]) -> Iterator[str]:
        name = STATUS_OF[event["type"]]
        yield f"{MARKS.get(name, '●')} {self._words(name)}"
        if error := event["data"].get("error"):
            number, message = event["attempt"], error["message"]
            yield self._words("Attempt {number} failed: {message}", number=number, message=message)
            if error.get("hint"):
                yield self._words("What to do: {hint}", hint=error["hint"])
