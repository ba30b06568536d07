"""Keyset paging: a cursor is the last row's sort key, so that paging never skips or repeats a row."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

from gateway.errors import InvalidInput
from gateway.page import Page
from lifecycle import input_rules

M = TypeVar("M", bound=Model)
T = TypeVar("T")

MAX_LIMIT = 200


def page(
    rows: QuerySet[M], render: Callable[[M], T], *, keys: tuple[str, ...], limit: int, cursor: str | None
) -> Page[T]:
    """One page of ``rows``, in descending order of ``keys`` (which together are unique), rendered.

    Raises ``InvalidInput`` for a limit outside 1 to 200 or a cursor that is none.
    """
    input_rules.whole(limit, "limit", low=1, high=MAX_LIMIT)
    rows = rows.order_by(*[f"-{key}" for key in keys])
    if cursor is not None:
        try:
            rows = rows.filter(_below(keys, _read(cursor, len(keys))))
        except (ValueError, ValidationError):
            raise _no_cursor() from None
    found = list(rows[: limit + 1])
    more = len(found) > limit
    found = found[:limit]
    return Page([render(row) for row in found], _write(found[-1], keys) if more else None)


def _below(keys: tuple[str, ...], values: list[Any]) -> Q:
    """Rows whose keys come after ``values`` in descending order."""
    below = Q(**{f"{keys[-1]}__lt": values[-1]})
    for key, value in zip(reversed(keys[:-1]), reversed(values[:-1]), strict=True):
        below = Q(**{f"{key}__lt": value}) | (Q(**{key: value}) & below)
    return below


def _write(row: Model, keys: tuple[str, ...]) -> str:
    values = [str(getattr(row, key)) for key in keys]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _read(cursor: str, count: int) -> list[Any]:
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, UnicodeDecodeError):
        values = None
    is_key = isinstance(values, list) and len(values) == count
    if not is_key or not all(isinstance(one, str) and "\x00" not in one for one in values):
        raise _no_cursor()
    return list(values)


def _no_cursor() -> InvalidInput:
    return input_rules.refuse(
        "cursor", "is not a cursor of this list.", "Use next_cursor of the page before."
    )
