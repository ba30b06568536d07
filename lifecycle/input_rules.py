"""The rules for what callers send: lengths, labels, JSON that every database can store."""

from __future__ import annotations

import json
import math
from typing import Any

from gateway.errors import InvalidInput

MAX_LABELS = 32
MAX_LABEL_KEY = 64
MAX_LABEL_VALUE = 256
MAX_METADATA_BYTES = 64 * 1024
MAX_DEPTH = 64


def refuse(field: str, message: str, hint: str = "") -> InvalidInput:
    """The error for one bad field; raise what this returns."""
    return InvalidInput(f"{field}: {message}", hint=hint, errors=[{"field": field, "message": message}])


def text(value: Any, field: str, *, maximum: int, required: bool = False) -> str:
    """``value`` trimmed, if it is text of at most ``maximum`` characters without NUL or lone surrogates."""
    if not isinstance(value, str):
        raise refuse(field, f"must be text, not {type(value).__name__}.")
    trimmed = value.strip()
    if required and not trimmed:
        raise refuse(field, "must not be empty.", f"Give 1 to {maximum:,} characters.")
    if len(trimmed) > maximum:
        raise refuse(
            field,
            f"has {len(trimmed):,} characters; at most {maximum:,} are allowed.",
            "Shorten it, or put the long part into a file of the workspace.",
        )
    if "\x00" in trimmed:
        raise refuse(field, "contains a NUL character, which cannot be stored.", "Remove it.")
    if not _is_unicode(trimmed):
        raise refuse(field, "contains half of a surrogate pair, which is no character.", "Send valid UTF-8.")
    return trimmed


def labels(value: Any) -> dict[str, str]:
    """Labels: at most 32 pairs of text, keys to 64 and values to 256 characters."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refuse("labels", "must be an object of text values.")
    if len(value) > MAX_LABELS:
        raise refuse("labels", f"has {len(value)} entries; at most {MAX_LABELS} are allowed.")
    return {
        text(key, "labels", maximum=MAX_LABEL_KEY, required=True): text(
            item, f"labels.{key}", maximum=MAX_LABEL_VALUE
        )
        for key, item in value.items()
    }


def metadata(value: Any) -> dict[str, Any]:
    """A free JSON object of at most 64 KiB."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refuse("metadata", "must be an object.")
    json_value(value, "metadata", maximum_bytes=MAX_METADATA_BYTES)
    return value


def whole(value: Any, field: str, *, low: int, high: int) -> int:
    """A whole number between ``low`` and ``high``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise refuse(field, f"must be a whole number from {low:,} to {high:,}, not {value!r}.")
    return value


def json_value(value: Any, field: str, *, maximum_bytes: int) -> None:
    """Refuse what is not storable JSON: too large, too deep, NaN, NUL, lone surrogates, other types."""
    problem = json_problem(value)
    if problem:
        raise refuse(field, problem)
    size = len(json.dumps(value, ensure_ascii=False).encode())
    if size > maximum_bytes:
        raise refuse(
            field,
            f"has {size:,} bytes as JSON; at most {maximum_bytes:,} are allowed.",
            "Put large data into a file of the workspace and name the file.",
        )


def json_problem(value: Any, depth: int = 0) -> str:
    """Why ``value`` is no JSON that every database stores; "" if it is."""
    if depth > MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH} levels."
    if isinstance(value, str):
        return "" if "\x00" not in value and _is_unicode(value) else "contains a NUL or a lone surrogate."
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"contains {value}, which is not JSON."
    if isinstance(value, dict):
        if any(not isinstance(key, str) for key in value):
            return "has a key that is not text."
        parts: list[Any] = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple):
        parts = list(value)
    elif value is None or isinstance(value, bool | int):
        return (
            ""
            if not isinstance(value, int) or abs(value) < 10**100
            else "contains a number that is too large."
        )
    else:
        return f"contains a {type(value).__name__}, which is not JSON."
    return next((problem for part in parts if (problem := json_problem(part, depth + 1))), "")


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
