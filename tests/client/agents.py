"""Agents of the tests' installation; put into its ``config/agents``."""

import asyncio

from gateway.errors import AgentNotConfigured


async def echo(ctx):
    """Returns what it was given."""
    ctx.log(f"echo {ctx.description}")
    return {"description": ctx.description, "input": ctx.input, "labels": dict(ctx.labels)}


async def talks(ctx):
    """Writes ``count`` log lines, ``rate`` a second."""
    rate = ctx.input.get("rate", 5_000)
    for number in range(ctx.input["count"]):
        ctx.log(f"line {number}")
        if number % 100 == 99:
            await asyncio.sleep(100 / rate)
    return "said it all"


async def sleeps(ctx):
    """Works for ``seconds``."""
    ctx.progress(10, "sleeping")
    await asyncio.sleep(ctx.input["seconds"])
    return "slept"


async def fails(ctx):
    """Fails."""
    raise ValueError("no such column: amount")


async def lacks(ctx):
    """Lacks what it needs."""
    raise AgentNotConfigured("OPENAI_API_KEY is missing.", hint="Set it in .env.")


async def writes(ctx):
    """Keeps a file."""
    with ctx.step("tool", "write"):
        (ctx.workspace.path / "report.md").write_text(f"# {ctx.description}\n")
        await ctx.artifact("report.md", title="The report")
    return {"summary": f"**{ctx.description}** is in report.md"}
