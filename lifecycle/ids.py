"""Ids: UUIDv7 for rows that the system numbers, slugs for things that people name."""

from __future__ import annotations

import re
from uuid import UUID

from uuid_utils.compat import uuid7

from gateway.errors import InvalidInput

SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
SLUG_RULE = "Use 1 to 64 letters, digits, '_', '.' or '-', beginning with a letter or digit."


def new_id() -> UUID:
    """A new UUIDv7: sorts by time, and within a process strictly by order of creation."""
    return uuid7()


def slug(value: str, field: str) -> str:
    """Return ``value`` if it is a slug; raise ``InvalidInput`` naming ``field`` if not."""
    if not isinstance(value, str) or not SLUG.fullmatch(value):
        raise InvalidInput(
            f"{field} {value!r} is not a valid id.",
            hint=SLUG_RULE,
            errors=[{"field": field, "message": SLUG_RULE}],
        )
    return value


def lookup(value: object) -> str:
    """The form by which slugs are compared; "", which is nobody's, for what can be none.

    A database is never asked for what it cannot even be asked for, such as a NUL.
    """
    return value.lower() if isinstance(value, str) and SLUG.fullmatch(value) else ""


def as_uuid(value: UUID | str) -> UUID | None:
    """``value`` as a UUID, or None where it is none: no row can have such an id."""
    if isinstance(value, UUID):
        return value
    try:
        return UUID(value)
    except (ValueError, AttributeError, TypeError):
        return None
