"""Builds what an agent gets for one attempt: its assignment, environment, and a coroutine's channel."""

from __future__ import annotations

import asyncio
import copy
import os
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from executor import artifact_store
from executor.agent_output import MAX_RESULT_BYTES, clean, size_of
from executor.own_threads import in_own_thread
from gateway.context import AgentWorkspace, Assignment
from gateway.errors import AgentNotConfigured, InvalidInput
from lifecycle import workspace_manager

if TYPE_CHECKING:
    from collections.abc import Mapping

    from executor.leases import Claim
    from executor.run import Run
    from lifecycle.agent_config import FromEnvironment

# What a child process may see of the operator's environment. Everything else may hold a secret.
ALLOWED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "USER",
    "LOGNAME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


def assignment_of(claim: Claim) -> Assignment:
    """What the agent is told of its attempt."""
    return Assignment(
        task_id=str(claim.task_id),
        trace_id=str(claim.trace_id),
        description=claim.description,
        input=claim.input,
        settings=copy.deepcopy(claim.config.settings),  # the configuration is shared by all runs of a version
        workspace=AgentWorkspace(claim.workspace_id, workspace_manager.folder_of(claim.workspace_id)),
        attempt=claim.attempt,
        deadline=deadline_of(claim),
        labels=claim.labels,
        checkpoint=claim.checkpoint,
    )


def deadline_of(claim: Claim) -> datetime | None:
    """When an attempt that starts now runs out of time; None: never."""
    return timezone.now() + timedelta(seconds=claim.timeout_seconds) if claim.timeout_seconds else None


def environment_of(claim: Claim, assignment: Assignment) -> dict[str, str]:
    """The environment of a child process: an allow-list, the type's own ``env``, and Gateway's variables.

    Raises ``AgentNotConfigured`` if ``env`` asks for a variable that the operator has not set.
    """
    environment = {name: os.environ[name] for name in ALLOWED if name in os.environ}
    environment |= _own_environment(claim.config.env, claim.agent_type)
    environment |= {
        "PYTHONUNBUFFERED": "1",
        "GATEWAY_TASK_ID": str(claim.task_id),
        "GATEWAY_TRACE_ID": str(claim.trace_id),
        "GATEWAY_WORKSPACE": str(assignment.workspace.path),
        "GATEWAY_ATTEMPT": str(claim.attempt),
    }
    if assignment.deadline is not None:
        environment["GATEWAY_DEADLINE"] = assignment.deadline.isoformat()
    return environment


def _own_environment(env: Mapping[str, str | FromEnvironment], agent_type: str) -> dict[str, str]:
    own = {}
    for name, value in env.items():
        if isinstance(value, str):
            own[name] = value
        elif os.environ.get(value.environment):
            own[name] = os.environ[value.environment]
        elif not value.optional:
            raise AgentNotConfigured(
                f"The agent type '{agent_type}' needs the environment variable {value.environment}.",
                hint=f"Set {value.environment} where Gateway is started (or in .env) and start it again.",
            )
    return own


class LoopChannel:
    """The channel of a coroutine function: straight into its worker's journal."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def cancelled(self) -> bool:
        return self._run.stopping

    def emit(self, event: dict[str, Any]) -> None:
        self._run.say(event)

    async def request(self, event: dict[str, Any]) -> Any:
        return await durable(self._run, event)


async def durable(run: Run, event: dict[str, Any]) -> Any:
    """Store ``event`` and return what became of it: the artifact's description, else None."""
    if event["type"] == "artifact":
        kept = await in_own_thread(
            artifact_store.keep, run.claim.workspace_id, event.get("path", ""), event.get("title", "")
        )
        await asyncio.wrap_future(run.store({"type": "artifact", "at": event.get("at"), "kept": kept}))
        return kept
    data = await in_own_thread(_checkpoint, event.get("data"))
    await asyncio.wrap_future(run.store({**event, "data": data}))
    return None


def _checkpoint(data: Any) -> Any:
    cleaned = clean(data)
    size = size_of(cleaned)
    if size > MAX_RESULT_BYTES:
        raise InvalidInput(
            f"A checkpoint of {size:,} bytes is too large; at most {MAX_RESULT_BYTES:,} are kept.",
            hint="Write large data to a file of the workspace and remember its path.",
        )
    return cleaned
