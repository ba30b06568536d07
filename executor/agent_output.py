"""What comes from an agent, made fit to store: an agent and its output are untrusted."""

from __future__ import annotations

import json
import math
from typing import Any

MAX_DEPTH = 64
MAX_PARTS = 2_000_000
MAX_EVENT_BYTES = 64 * 1024
MAX_RESULT_BYTES = 1024 * 1024
ROOM = 512
"""Bytes of an event kept free for everything but its text."""


def clean_text(value: Any, maximum: int | None = None) -> str:
    """``value`` as text that every database stores: no NUL, no half surrogates, at most ``maximum`` long."""
    text = value if isinstance(value, str) else _words(value)
    if maximum is not None and len(text) > maximum:
        text = text[: maximum - 1] + "…"
    if "\x00" in text:
        text = text.replace("\x00", "")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _words(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # whatever an agent's own class does
        return f"<{type(value).__name__}>"


def clean(value: Any) -> Any:
    """``value`` as JSON: what is no JSON becomes its text, what is too deep or holds itself an ellipsis.

    Raises ``ValueError`` if it has more than ``MAX_PARTS`` parts.
    """
    return _Cleaner().clean(value, 0)


class _Cleaner:
    def __init__(self) -> None:
        self._parts = 0
        self._open: set[int] = set()

    def clean(self, value: Any, depth: int) -> Any:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise ValueError(f"It has more than {MAX_PARTS:,} parts.")
        if isinstance(value, dict | list | tuple | set | frozenset):
            return self._clean_inside(value, depth)
        return _clean_part(value)

    def _clean_inside(self, value: Any, depth: int) -> Any:
        if depth >= MAX_DEPTH or id(value) in self._open:
            return "…"
        self._open.add(id(value))
        try:
            if isinstance(value, dict):
                return {clean_text(key): self.clean(item, depth + 1) for key, item in value.items()}
            return [self.clean(item, depth + 1) for item in value]
        finally:
            self._open.discard(id(value))


def _clean_part(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**100 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
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
