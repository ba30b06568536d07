"""Markdown from untrusted text: nothing in the data can become markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from executor.agents.data_analyst.drawing import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LONGEST = 80
_MARKUP = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def plain(text: str, longest: int = _LONGEST) -> str:
    """Return text from the data, a file's name or the task as one line without any markup in it."""
    text = clean(text)
    if len(text) > longest:
        text = text[: longest - 1].rstrip() + "…"
    text = _MARKUP.sub(r"\\\g<0>", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # Many viewers make links of bare addresses; an address in the data is not the report's to recommend.
    return re.sub(r"(?i)(https?|ftp|mailto|javascript):", r"\1&#58;", text).replace("www.", "www&#46;")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int = 1) -> str:
    """Return a table of cells that are already plain; columns from ``numbers_from`` on align right."""
    rule = [":--" if i < numbers_from else "--:" for i in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *rows])


def image(text: str, path: str) -> str:
    """Return an image; its path is one that the analyst made up."""
    return f"![{plain(text)}]({path})"


def bullets(items: Iterable[str]) -> str:
    """Return a list of sentences whose untrusted parts are not yet plain."""
    return "\n".join(f"- {plain(item, longest=1_000)}" for item in items)
