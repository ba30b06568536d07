"""Looks again, every few seconds, whether the followers of something still may; one look for all alike."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

from django.db import DatabaseError, InterfaceError

from gateway.errors import TooManyRequests
from lifecycle.database_threads import run

LOOK_SECONDS = 4.0

_looks: dict[Hashable, asyncio.Task[None]] = {}
_followers: Counter[Hashable] = Counter()


async def until_refused(who: Hashable, allowed: Callable[[], Any]) -> None:
    """Return never; raise what ``allowed`` raises once it refuses.

    Followers with the same ``who`` (the same credentials for the same thing) share one look: a thousand
    sockets on one task would otherwise ask the database 250 times a second.
    """
    if who not in _looks:
        _looks[who] = asyncio.create_task(_look(allowed))
    _followers[who] += 1
    try:
        await asyncio.shield(_looks[who])
    finally:
        _followers[who] -= 1
        if not _followers[who]:
            del _followers[who]
            _looks.pop(who).cancel()


async def _look(allowed: Callable[[], Any]) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        with contextlib.suppress(DatabaseError, InterfaceError, TooManyRequests):
            await run(allowed)
