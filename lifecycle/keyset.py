"""Keyset paging: a cursor is the last row's sort key, so that paging never skips or repeats a row."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Field, Model, Q, QuerySet

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
        rows = rows.filter(_below(keys, _read(cursor, rows.model, keys)))
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


def _read(cursor: str, model: type[Model], keys: tuple[str, ...]) -> list[Any]:
    """The keys in a cursor, as values that a database can be asked for."""
    try:
        texts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
            raise _no_cursor()
        return [_value(model, key, text) for key, text in zip(keys, texts, strict=True)]
    except (ValueError, ValidationError, OverflowError, RecursionError):
        raise _no_cursor() from None


def _value(model: type[Model], key: str, text: str) -> Any:
    if "\x00" in text:
        raise ValueError(text)
    text.encode()  # raises for half a surrogate pair
    field: Field = model._meta.get_field(key)  # type: ignore[assignment]  # a key is a column
    value = field.to_python(text)
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _no_cursor() -> InvalidInput:
    return input_rules.refuse(
        "cursor", "is not a cursor of this list.", "Use next_cursor of the page before."
    )
