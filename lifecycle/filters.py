"""Filters that lists share: labels, search, time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from django.db.models import Model, Q, QuerySet, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.lookups import Exact

from lifecycle.ids import as_uuid, lookup

M = TypeVar("M", bound=Model)


def with_labels(rows: QuerySet[M], pairs: Iterable[tuple[str, str]]) -> QuerySet[M]:
    """Rows that carry any of the values given for each key: the same key repeated means *or*."""
    wanted: dict[str, list[str]] = {}
    for key, value in pairs:
        wanted.setdefault(key, []).append(value)
    for key, values in wanted.items():
        any_of = Q()
        for value in values:
            any_of |= Q(Exact(KeyTextTransform(key, "labels"), Value(value)))
        rows = rows.filter(any_of)
    return rows


def named(rows: QuerySet[M], field: str, names: str | Iterable[str] | None) -> QuerySet[M]:
    """Rows whose slug ``field`` is one of ``names``, without case."""
    if names is None:
        return rows
    wanted = [names] if isinstance(names, str) else list(names)
    return rows.filter(**{f"{field}__lower__in": [lookup(name) for name in wanted]})


def created_between(rows: QuerySet[M], after: datetime | None, before: datetime | None) -> QuerySet[M]:
    """Rows made after ``after`` and before ``before``."""
    if after is not None:
        rows = rows.filter(created_at__gt=after)
    if before is not None:
        rows = rows.filter(created_at__lt=before)
    return rows


def searched(rows: QuerySet[M], words: str | None, *fields: str) -> QuerySet[M]:
    """Rows whose id is ``words``, or that contain them in one of ``fields`` (without case)."""
    if not words:
        return rows
    found = Q()
    for field in fields:
        found |= Q(**{f"{field}__icontains": words})
    key = as_uuid(words)
    return rows.filter(found | Q(pk=key) if key else found)
