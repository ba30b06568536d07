"""What a task came to, for a terminal: its result and its files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.markdown import Markdown
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from gateway.client.printable import printable

if TYPE_CHECKING:
    from gateway.client.words import Words


def result_panel(result: Any, words: Words) -> RenderableType | None:
    """The result in a frame: a text, or the ``summary`` in it, as Markdown; anything else as JSON."""
    if result is None or result == "":
        return None
    summary = result.get("summary") if isinstance(result, dict) else result
    if isinstance(summary, str) and summary:
        inside: RenderableType = Markdown(printable(summary))
    else:
        text = printable(json.dumps(result, ensure_ascii=False, indent=2))
        inside = Syntax(text, "json", background_color="default", word_wrap=True)
    return Panel(inside, title=words("Result"), title_align="left", border_style="green")


def file_table(files: Iterable[Mapping[str, Any]], words: Words) -> Table:
    """The files that a task produced."""
    table = Table(
        title=words("Files"), title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0)
    )
    table.add_column(words("file"), overflow="fold")
    table.add_column(words("size"), justify="right", no_wrap=True)
    table.add_column(words("what"), style="dim", overflow="ellipsis", no_wrap=True)
    for file in files:
        table.add_row(
            Text(printable(file["path"])), f"{file['size']:,} B", Text(printable(file["title"] or ""))
        )
    return table
