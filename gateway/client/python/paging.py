"""Going through a list page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from gateway.client.python.transport import Query
from gateway.client.python.types import TaskFilters, TraceFilters
from gateway.page import Page

T = TypeVar("T")

PAGE_ROWS = 200


def every(page_after: Callable[[str | None], Page[T]]) -> Iterator[T]:
    """All rows, from page to page; each row that existed at the start exactly once."""
    cursor: str | None = None
    while True:
        page = page_after(cursor)
        yield from page
        cursor = page.next_cursor
        if cursor is None:
            return


def query_of(wanted: TraceFilters | TaskFilters) -> Query:
    """Filters as parameters of an address."""
    query: dict[str, Any] = dict(wanted)
    query["label"] = [f"{key}:{value}" for key, value in query.pop("labels", None) or ()]
    return query
