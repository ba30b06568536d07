"""What comes from an agent, made fit to store: an agent and its output are untrusted."""

from __future__ import annotations

import json
import math
from typing import Any

MAX_DEPTH = 64
MAX_EVENT_BYTES = 64 * 1024
MAX_RESULT_BYTES = 1024 * 1024
ROOM = 512
"""Bytes of an event kept free for everything but its text."""


def clean_text(value: Any, maximum: int | None = None) -> str:
    """``value`` as text that every database stores: no NUL, no half surrogates, at most ``maximum`` long."""
    text = value if isinstance(value, str) else str(value)
    if maximum is not None and len(text) > maximum:
        text = text[: maximum - 1] + "…"
    if "\x00" in text:
        text = text.replace("\x00", "")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def clean(value: Any, depth: int = 0) -> Any:
    """``value`` as JSON: what is no JSON becomes its text, what is too deep an ellipsis."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, int):
        return value if abs(value) < 10**100 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth >= MAX_DEPTH:
        return "…"
    if isinstance(value, dict):
        return {clean_text(key): clean(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(item, depth + 1) for item in value]
    return clean_text(value)


def size_of(value: Any) -> int:
    """The bytes of ``value`` as JSON."""
    return len(json.dumps(value, ensure_ascii=False).encode())


def capped(value: Any) -> Any:
    """``value`` cleaned; what would be over an event's size becomes its beginning and its size."""
    cleaned = clean(value)
    size = size_of(cleaned)
    if size <= MAX_EVENT_BYTES:
        return cleaned
    return {"truncated": True, "bytes": size, "beginning": json.dumps(cleaned, ensure_ascii=False)[:4096]}


def pieces(text: str, maximum: int = MAX_EVENT_BYTES - ROOM) -> list[str]:
    """``text`` in pieces of at most ``maximum`` bytes, no character torn apart."""
    if len(text) * 4 <= maximum:
        return [text]
    raw = text.encode()
    if len(raw) <= maximum:
        return [text]
    parts = []
    while raw:
        end = min(maximum, len(raw))
        while end < len(raw) and raw[end] & 0xC0 == 0x80:
            end -= 1
        parts.append(raw[:end].decode())
        raw = raw[end:]
    return parts
