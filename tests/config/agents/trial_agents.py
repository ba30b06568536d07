"""Agents that the tests run."""


async def echo(ctx):
    """Return the description."""
    return ctx.description


def echo_in_child(ctx):
    """Return the description, from a child process."""
    return ctx.description
