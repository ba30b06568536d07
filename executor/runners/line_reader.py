"""Reads lines from an untrusted stream in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

CHUNK = 64 * 1024


class LineReader:
    """Lines of at most ``maximum`` bytes; a longer one is split into several, or dropped."""

    def __init__(self, stream: asyncio.StreamReader, maximum: int, *, split: bool) -> None:
        self._stream = stream
        self._maximum = maximum
        self._split = split
        self._part = bytearray()
        self._dropping = False

    async def each(self, take: Callable[[str], None], count: Callable[[int], None]) -> None:
        """Give every line to ``take`` and the size of every chunk to ``count``, until the stream ends."""
        while chunk := await self._stream.read(CHUNK):
            count(len(chunk))
            *whole, rest = chunk.split(b"\n")
            for line in whole:
                self._add(line, take)
                self._end(take)
            self._add(rest, take)
        if self._part:
            self._end(take)

    def _add(self, piece: bytes, take: Callable[[str], None]) -> None:
        if self._dropping:
            return
        self._part += piece
        while len(self._part) > self._maximum:
            if not self._split:
                self._dropping = True
                self._part.clear()
                return
            take(_text(bytes(self._part[: self._maximum])))
            del self._part[: self._maximum]

    def _end(self, take: Callable[[str], None]) -> None:
        if not self._dropping:
            take(_text(bytes(self._part)))
        self._part.clear()
        self._dropping = False


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").rstrip("\r")
