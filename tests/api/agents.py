"""Agents of the installation that the doors are tested on. Copied into its ``config/agents``."""

import asyncio
import os
import signal
import time


async def echo(ctx):
    """Returns what it was told."""
    return {"description": ctx.description, "input": ctx.input}


async def chatty(ctx):
    """Says ``count`` lines of ``size`` characters, ``burst`` at a time; then waits for its gate, if any."""
    told = ctx.input or {}
    count, burst, size = told.get("count", 20), told.get("burst", 5), told.get("size", 8)
    for number in range(count):
        ctx.log(f"line {number} ".ljust(size, "x"))
        if number % burst == burst - 1:
            await asyncio.sleep(told.get("pause", 0.02))
    await _gate(ctx)
    return {"lines": count}


async def gated(ctx):
    """Waits until its gate, a path in its input, exists."""
    ctx.log("waiting")
    await _gate(ctx)
    return "open"


async def maker(ctx):
    """Keeps a file."""
    path = ctx.workspace.path / "made" / "报告.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text("# Made\n")
    with ctx.step("tool", "write", input={"n": 1}) as step:
        step.usage(input_tokens=3, output_tokens=4)
        step.output = "done"
    await ctx.artifact("made/报告.md", title="Report")
    ctx.progress(50, "half")
    return "made"


async def fails(ctx):
    """Raises."""
    raise RuntimeError("on purpose")


def stubborn(ctx):
    """Looks at its gate only: a cancellation does not end it before its grace does."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctx.log("deaf")
    while not os.path.exists(ctx.input["gate"]):
        time.sleep(0.02)
    return "open"


async def _gate(ctx):
    gate = (ctx.input or {}).get("gate")
    while gate and not os.path.exists(gate):
        await asyncio.sleep(0.02)
