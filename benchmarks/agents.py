"""The agents that are measured. ``ctx.input`` names the file to note their times in."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from benchmarks.recorded import note

if TYPE_CHECKING:
    from gateway.context import AsyncContext

WAIT_SECONDS = 2.0


async def no_op(ctx: AsyncContext) -> None:
    """Do nothing."""
    started = time.time()
    note(ctx.input, ctx.task_id, started, time.time())


async def wait(ctx: AsyncContext) -> None:
    """Wait as for a model's answer."""
    started = time.time()
    await asyncio.sleep(WAIT_SECONDS)
    note(ctx.input, ctx.task_id, started, time.time())
