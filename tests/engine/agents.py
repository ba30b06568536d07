"""Agents that misbehave on purpose. Installed under ``config/agents`` of each test's installation.

What a test lets go on waits for a *gate*: a file whose path stands in the input. Each body notes its start in
a file of its own before it does anything else, so that a test can count how often it really ran.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SLEEP = 0.02

# Leaves its session and its parent, ignores what can be ignored, notes its pid and stays.
DAEMON = """
import os, signal, sys, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
with open(sys.argv[1] + ".part", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep(600)
"""


def _note(ctx, what="start"):
    """Leave ``<marks>/<task>.<attempt>.<what>``; a second one of the same name gets a longer name."""
    path = Path(ctx.input["marks"]) / f"{ctx.task_id}.{ctx.attempt}.{what}"
    while True:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            return
        except FileExistsError:
            path = path.with_name(path.name + "+")


def _open(ctx):
    gate = ctx.input.get("gate")
    return gate is None or os.path.exists(gate)


async def waits(ctx):
    """Waits for its gate, then for ``seconds``."""
    _note(ctx)
    while not _open(ctx):
        await asyncio.sleep(SLEEP)
    await asyncio.sleep(ctx.input.get("seconds", 0))
    return {"attempt": ctx.attempt}


async def writes_late(ctx):
    """Like ``waits``, but tries to write once its gate is open, and notes whether it was allowed to."""
    _note(ctx)
    ctx.log("before")
    while not _open(ctx):
        await asyncio.sleep(SLEEP)
    ctx.log(f"late words of attempt {ctx.attempt}")
    try:
        await ctx.checkpoint({"attempt": ctx.attempt})
    except BaseException:
        _note(ctx, "refused")
        raise
    _note(ctx, "stored")
    return {"attempt": ctx.attempt}


async def chatty(ctx):
    """Talks until its gate opens."""
    _note(ctx)
    number = 0
    while not _open(ctx) or number < 20:
        with ctx.step("tool", f"step {number}"):
            ctx.log(f"line {number}")
            ctx.text("word ")
        number += 1
        await asyncio.sleep(SLEEP)
    return {"attempt": ctx.attempt, "lines": number}


def plain(ctx):
    """Waits for its gate in a process of its own."""
    _note(ctx)
    while not _open(ctx):
        time.sleep(SLEEP)
    return {"attempt": ctx.attempt}


async def poison(ctx):
    """Kills the worker process that runs it."""
    _note(ctx)
    os.kill(os.getpid(), signal.SIGKILL)


def plain_poison(ctx):
    """Kills its own process."""
    _note(ctx)
    os.kill(os.getpid(), signal.SIGKILL)


async def stubborn(ctx):
    """Swallows every cancellation."""
    _note(ctx)
    while not os.path.exists(ctx.input["gate"]):
        try:
            await asyncio.sleep(SLEEP)
        except asyncio.CancelledError:
            ctx.log("never mind")


def plain_stubborn(ctx):
    """Ignores SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _note(ctx)
    while not _open(ctx):
        time.sleep(SLEEP)
    return {"attempt": ctx.attempt}


def plain_looks(ctx):
    """Ignores SIGTERM, but looks at ``ctx.cancelled`` and cleans up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _note(ctx)
    while not ctx.cancelled:
        time.sleep(SLEEP)
    _note(ctx, "cleaned")
    ctx.raise_if_cancelled()


async def blocks(ctx):
    """Blocks the event loop."""
    _note(ctx)
    while not _open(ctx):
        time.sleep(SLEEP)  # on purpose: the whole loop waits
    return {"attempt": ctx.attempt}


async def blocks_inside(ctx):
    """Blocks the event loop from a task of its own."""
    _note(ctx)

    async def inner():
        while not _open(ctx):
            time.sleep(SLEEP)

    await asyncio.create_task(inner())
    return {"attempt": ctx.attempt}


async def threads(ctx):
    """Occupies threads of the loop's default pool, as agents with blocking libraries do."""
    _note(ctx)

    def block():
        while not _open(ctx):
            time.sleep(SLEEP)

    await asyncio.gather(*[asyncio.to_thread(block) for _ in range(ctx.input.get("count", 1))])
    return {"attempt": ctx.attempt}


async def late_worker(ctx):
    """Once its gate is open, does what libraries do: a thread, a name look-up, a file, a durable write."""
    _note(ctx)
    while not _open(ctx):
        await asyncio.sleep(SLEEP)
    (ctx.workspace.path / f"{ctx.task_id}.txt").write_text("kept")
    await asyncio.to_thread(time.sleep, 0.1)
    await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
    await ctx.artifact(f"{ctx.task_id}.txt")
    await ctx.checkpoint({"done": True})
    return {"attempt": ctx.attempt}


def family(ctx):
    """Starts processes that try to outlive it: in its group, in another session, orphaned daemons."""
    _note(ctx)
    base = os.path.join(ctx.input["marks"], f"{ctx.task_id}.{ctx.attempt}")
    subprocess.Popen(["sleep", "600"])
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    for number in range(2):
        subprocess.run([sys.executable, "-c", DAEMON, f"{base}.daemon{number}"], check=True)
    while not all(os.path.exists(f"{base}.daemon{number}") for number in range(2)):
        time.sleep(SLEEP)
    _note(ctx, "grown")
    while not _open(ctx):
        time.sleep(SLEEP)
    return {"attempt": ctx.attempt}


async def fails(ctx):
    """Raises."""
    _note(ctx)
    raise RuntimeError("on purpose")
