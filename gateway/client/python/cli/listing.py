"""Lists of any length, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, TypeVar

import typer

from gateway.client.python.cli.speech import say
from gateway.client.python.paging import PAGE_ROWS
from gateway.page import Page

T = TypeVar("T")

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help=say("At most so many rows."))]


def taken(limit: int, page_of: Callable[[int, str | None], Page[T]]) -> Iterator[T]:
    """The first ``limit`` rows of a list."""
    cursor: str | None = None
    left = limit
    while left > 0:
        page = page_of(min(left, PAGE_ROWS), cursor)
        yield from page
        left -= len(page)
        cursor = page.next_cursor
        if cursor is None:
            return
