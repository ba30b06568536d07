"""Runs a coroutine function on the worker's event loop."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from executor.execution_context import LoopChannel, assignment_of
from executor.own_threads import in_own_thread
from gateway.context import AsyncContext
from gateway.errors import AgentNotConfigured

if TYPE_CHECKING:
    from executor.run import Run

Agent = Callable[[AsyncContext], Awaitable[Any]]
_loaded: dict[str, Agent] = {}


async def run_on_loop(run: Run) -> Any:
    """Call the agent and return its result."""
    agent = _loaded.get(run.claim.config.runner.entrypoint)
    if agent is None:
        # Importing a framework can take seconds: not on the loop, where every other run would wait.
        agent = await in_own_thread(load, run.claim.config.runner.entrypoint)
    if not inspect.iscoroutinefunction(agent):
        raise AgentNotConfigured(
            f"{run.claim.config.runner.entrypoint} is no coroutine function any more.",
            hint="Run `python manage.py config reload`, which looks at it again.",
        )
    try:
        return await agent(AsyncContext(assignment_of(run.claim), LoopChannel(run)))
    except (SystemExit, KeyboardInterrupt) as exc:
        # Either would end the loop, and with it every other run of this process.
        raise RuntimeError(f"The agent raised {type(exc).__name__}({exc}).") from exc


def load(entrypoint: str) -> Agent:
    """Import ``module:function``; raise ``AgentNotConfigured`` if it lacks a module."""
    module_name, _, function_name = entrypoint.partition(":")
    try:
        agent: Agent = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as exc:
        raise AgentNotConfigured(
            f"{entrypoint} cannot be loaded: {exc}.",
            hint="Install what it needs, then `manage.py config reload`.",
        ) from exc
    _loaded[entrypoint] = agent
    return agent
