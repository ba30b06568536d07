"""Data on stdout and talk on stderr: tables for people, lines with tabs for pipes, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.client.printable import printable
from gateway.client.python.cli.speech import say
from gateway.client.task_view import MARKS, STYLES

GAP = 2
NARROWEST = 8
"""What a column that gives way keeps at least."""


@dataclass(frozen=True)
class Column:
    """One column of a table: ``value`` for pipes; ``shown`` (default: the same) for people."""

    title: str
    value: Callable[[Any], object]
    shown: Callable[[Any], Text | str] | None = None
    from_width: int = 0
    """Only on terminals that are at least so wide."""
    right: bool = False
    cut: bool = False
    """Gives way, with an ellipsis, where the line is too long."""


class Output:
    """Where a command writes; ``as_json`` is the option ``--json``."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        # While an agent is run by hand, sys.stdout is where that agent prints.
        self._stdout = sys.stdout
        self.out = Console(highlight=False, markup=False, emoji=False)
        self.talk = Console(stderr=True, highlight=False, markup=False, emoji=False)

    @property
    def for_people(self) -> bool:
        """Whether somebody reads stdout on a terminal."""
        return self.out.is_terminal and not self.as_json

    def json(self, value: Any) -> None:
        """One JSON value: a line of its own for programs, indented on a terminal."""
        self.line(_dumped(value, 2 if self.out.is_terminal else None))

    def json_line(self, value: Any) -> None:
        """One JSON value in one line."""
        self.line(_dumped(value, None))

    def line(self, text: str) -> None:
        """One line of data, as it is."""
        self._stdout.write(text + "\n")
        self._stdout.flush()

    def talk_line(self, text: str) -> None:
        """One line of talk, as it is."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def listed(self, columns: Sequence[Column], rows: Iterable[Any], nothing: str) -> None:
        """A list: ``{"items": […]}``, a table, or lines with tabs."""
        found = list(rows)
        if self.as_json:
            self.json({"items": found})
        elif not self.out.is_terminal:
            for row in found:
                self.line("\t".join(_cell(column.value(row)) for column in columns))
        elif found:
            self.out.print(self._table(columns, found))
        else:
            self.said(nothing)

    def said(self, text: str, style: str = "dim") -> None:
        """A sentence to the person, beside the data."""
        self.talk.print(Text(printable(text), style), soft_wrap=True)

    def facts(self, pairs: Iterable[tuple[str, Text | str | None]]) -> None:
        """Names and values, one pair a line; what is None or empty is left out."""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in pairs:
            if value:
                grid.add_row(name, value if isinstance(value, Text) else Text(printable(value)))
        self.out.print(grid)

    def _table(self, columns: Sequence[Column], rows: Sequence[Any]) -> Table:
        table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
        shown = [column for column in columns if column.from_width <= self.out.width]
        cells = [[self._shown(column, row) for column in shown] for row in rows]
        widths = [
            max(cell_len(column.title), *(row[number].cell_len for row in cells))
            for number, column in enumerate(shown)
        ]
        for column, width in zip(shown, widths, strict=True):
            others = sum(widths) - width + GAP * len(widths)
            if column.cut:
                width = max(min(width, self.out.width - others), NARROWEST)
            table.add_column(
                column.title,
                justify="right" if column.right else "left",
                width=width,
                no_wrap=True,
                overflow="ellipsis" if column.cut else "fold",
            )
        for row in cells:
            table.add_row(*row)
        return table

    def _shown(self, column: Column, row: Any) -> Text:
        value = column.shown(row) if column.shown else str(_or_nothing(column.value(row)))
        return value if isinstance(value, Text) else Text(_cell(value))


def status(value: str) -> Text:
    """A status with its mark and colour."""
    mark = MARKS.get(value, "●")
    return Text(f"{mark} {say(value)}", STYLES.get(value, ""))


def when(moment: str | None) -> str:
    """A time of this place: of today without the date."""
    if not moment:
        return ""
    local = datetime.fromisoformat(moment.replace("Z", "+00:00")).astimezone()
    today = datetime.now().astimezone().date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M}"


def size(count: int | None) -> str:
    """Bytes in the unit that fits."""
    if count is None:
        return ""
    number = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def one_line(text: str) -> str:
    """The text with its line breaks and runs of spaces as single spaces."""
    return " ".join(text.split())


def in_language(texts: Mapping[str, str]) -> str:
    """What is written in several languages, in that of this terminal."""
    wanted = ("zh-hans", "zh", "en") if say.language == "zh" else ("en",)
    return next((texts[name] for name in wanted if texts.get(name)), next(iter(texts.values()), ""))


def _dumped(value: Any, indent: int | None) -> str:
    # A surrogate cannot be written in UTF-8, and another encoding lacks most letters: then as escapes.
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    text = json.dumps(value, ensure_ascii=plain, indent=indent)
    return text if plain or text.isprintable() or _writable(text) else json.dumps(value, indent=indent)


def _writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _or_nothing(value: object) -> object:
    return "" if value is None else value


def _cell(value: object) -> str:
    return printable(one_line(str(_or_nothing(value))))
