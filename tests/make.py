"""Builders: each makes one thing with sensible defaults, through the verbs wherever there is one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils import timezone

from executor import leases
from executor.leases import Claim, Ending, WorkerIdentity
from executor.models import Attempt, Task, TaskEvent
from executor.task_manager import TaskManager
from lifecycle.actors import Actor
from lifecycle.agent_config import AgentConfig
from lifecycle.models import AgentType, AgentVersion, Trace, Workspace

Outcome = Attempt.Outcome
FREE = {AgentVersion.Mode.ASYNC: 10_000, AgentVersion.Mode.CHILD: 10_000}
ANNA = Actor("anna")
manager = TaskManager()
ENTRYPOINT = "trial_agents:echo"


def a_workspace(id: str = "user_001", **columns: Any) -> Workspace:
    """The workspace ``id``; made if it is missing."""
    return Workspace.objects.get_or_create(id=id, defaults=columns)[0]


def an_agent_type(
    name: str = "echo",
    *,
    mode: AgentVersion.Mode = AgentVersion.Mode.ASYNC,
    entrypoint: str = ENTRYPOINT,
    enabled: bool = True,
    input_schema: dict[str, Any] | None = None,
    **limits: Any,
) -> AgentType:
    """An agent type with one more version; ``limits`` as in its file. Nothing is imported or probed."""
    config = AgentConfig.model_validate(
        {
            "name": name,
            "runner": {"kind": "python", "entrypoint": entrypoint},
            "limits": limits,
            "input_schema": input_schema or {},
        }
    )
    kind, _ = AgentType.objects.get_or_create(name=name, defaults={"source": "file"})
    version = AgentVersion.objects.create(
        agent_type=kind,
        number=kind.versions.count() + 1,
        config=config.model_dump(mode="json"),
        mode=mode,
        max_running=config.limits.max_running,
        created_by="tests",
    )
    kind.active_version, kind.enabled = version, enabled
    kind.save()
    return kind


def a_trace(
    workspace: Workspace | str = "user_001", agent_type: AgentType | str = "echo", **columns: Any
) -> Trace:
    """A trace; its workspace and agent type are made if they are missing."""
    area = workspace if isinstance(workspace, Workspace) else a_workspace(workspace)
    kind = agent_type if isinstance(agent_type, AgentType) else _agent_type_called(agent_type)
    return Trace.objects.create(workspace=area, agent_type=kind, **columns)


def a_task(trace: Trace | None = None, description: str = "Say hello", **fields: Any) -> Task:
    """A task submitted to ``trace`` (None: to a trace of its own)."""
    to = trace or a_trace()
    fields.setdefault("actor", ANNA)
    return Task.objects.get(pk=manager.submit_task(to.pk, description, **fields))


def a_worker(name: str = "worker", *, host: str = "elsewhere", pid: int | None = None) -> WorkerIdentity:
    """Who claims; on another machine, so that no test depends on this one's processes."""
    return WorkerIdentity(name, host, pid or os.getpid())


def claims(worker: WorkerIdentity | None = None, **options: Any) -> list[Claim]:
    """Claim what is due."""
    options.setdefault("limit", 50)
    return leases.claim(worker or a_worker(), options.pop("free", FREE), **options)


def a_claim(task: Task | None = None, worker: WorkerIdentity | None = None) -> Claim:
    """The claim of ``task`` (None: of a new one); nothing else may be due."""
    wanted = task or a_task()
    [claim] = claims(worker)
    assert claim.task_id == wanted.pk
    return claim


def a_claimed_task(**fields: Any) -> tuple[Task, Claim]:
    """A running task as its row is now, and the claim of its attempt."""
    claim = a_claim(a_task(**fields))
    return fresh(claim.task_id), claim


@dataclass(frozen=True)
class Held:
    """As much of a claim as an ending needs."""

    token: UUID
    task_id: UUID


def many_tasks(count: int, workspace: str = "user_001", agent_type: str = "echo") -> list[Task]:
    """Many due tasks, each in a trace of its own, written in a few statements."""
    trace = a_trace(workspace, agent_type)
    area, kind, now = trace.workspace, trace.agent_type, timezone.now()
    traces = Trace.objects.bulk_create(
        [Trace(workspace=area, agent_type=kind, last_position=1) for _ in range(count)], batch_size=500
    )
    tasks = Task.objects.bulk_create(
        [
            Task(
                trace=one,
                workspace=area,
                agent_type=kind,
                position=1,
                description=str(number),
                timeout_seconds=600,
                max_attempts=3,
                actor="anna",
                run_at=now,
                created_at=now,
                last_seq=1,
            )
            for number, one in enumerate(traces)
        ],
        batch_size=500,
    )
    TaskEvent.objects.bulk_create(
        [
            TaskEvent(task=one, seq=1, type="task.submitted", data={"actor": "anna"}, attempt=0, at=now)
            for one in tasks
        ],
        batch_size=500,
    )
    return tasks


def an_ending(claim: Claim | Held, outcome: str = Outcome.COMPLETED, **fields: Any) -> Ending:
    """The end of a claim's attempt; a failure gets an error of its kind."""
    if outcome not in (Outcome.COMPLETED, Outcome.RELEASED, Outcome.CANCELLED):
        fields.setdefault(
            "error", {"code": str(outcome), "message": "It broke.", "detail": None, "retryable": False}
        )
    return Ending(claim.token, claim.task_id, Outcome(outcome), "worker", **fields)


def finish(claim: Claim | Held, outcome: str = Outcome.COMPLETED, **fields: Any) -> bool:
    """End a claim's attempt; tells whether its lease still stood."""
    return leases.finish([an_ending(claim, outcome, **fields)])[0]


def fresh(task: Task | UUID) -> Task:
    """The task's row as it is now."""
    return Task.objects.get(pk=task.pk if isinstance(task, Task) else task)


def event_types(task: Task | UUID) -> list[str]:
    """The types of a task's events, in order."""
    return list(fresh(task).events.order_by("seq").values_list("type", flat=True))


def _agent_type_called(name: str) -> AgentType:
    return AgentType.objects.filter(name=name).first() or an_agent_type(name)
