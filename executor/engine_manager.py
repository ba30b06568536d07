"""The verbs on the engine as a whole: how it stands, pause, resume."""

from __future__ import annotations

from django.db.models import Count, Min
from django.utils import timezone
from typing_extensions import TypedDict

from executor import doorbell
from executor.blocked_by import FRESH
from executor.models import EngineState, Task, Worker
from executor.states import LEASED, TaskStatus
from gateway.errors import NotAllowed
from lifecycle.actors import Actor, local_actor
from lifecycle.times import iso


class WorkerDict(TypedDict):
    """A worker process that was seen lately."""

    name: str
    host: str
    pid: int
    slots: int
    running: int


class StatsDict(TypedDict):
    """How the engine stands."""

    tasks: dict[str, int]
    oldest_due_at: str | None
    workers: list[WorkerDict]
    paused: bool
    paused_by: str | None


class EngineManager:
    """Every verb takes ``actor=`` (default: whoever runs this process)."""

    def stats(self, *, actor: Actor | None = None) -> StatsDict:
        """How many unfinished tasks stand where, since when the oldest waits, and who works."""
        live = [TaskStatus.PENDING, *sorted(LEASED)]
        rows = Task.objects.for_actor(actor or local_actor()).filter(status__in=live)
        counts = {str(status): 0 for status in live}
        counts |= dict(rows.values_list("status").annotate(count=Count("pk")).order_by())
        oldest = rows.filter(status=TaskStatus.PENDING, run_at__lte=timezone.now()).aggregate(
            at=Min("run_at")
        )
        workers: list[WorkerDict] = list(
            Worker.objects.filter(kind=Worker.Kind.RUNNER, seen_at__gt=timezone.now() - FRESH).values(
                "name", "host", "pid", "slots", "running"
            )
        )
        state = EngineState.objects.first()
        paused = state is not None and state.paused_at is not None
        return {
            "tasks": counts,
            "oldest_due_at": iso(oldest["at"]),
            "workers": workers,
            "paused": paused,
            "paused_by": state.paused_by if paused and state else None,
        }

    def pause(self, *, actor: Actor | None = None) -> StatsDict:
        """Start nothing any more, until ``resume``; what runs goes on. Doing it again changes nothing."""
        actor = actor or local_actor()
        _require_whole(actor)
        EngineState.objects.get_or_create(pk=1)
        now = timezone.now()
        EngineState.objects.filter(pk=1, paused_at=None).update(paused_at=now, paused_by=actor.name)
        return self.stats(actor=actor)

    def resume(self, *, actor: Actor | None = None) -> StatsDict:
        """Start tasks again."""
        actor = actor or local_actor()
        _require_whole(actor)
        EngineState.objects.filter(pk=1).update(paused_at=None, paused_by="")
        doorbell.ring("tasks")
        return self.stats(actor=actor)


def _require_whole(actor: Actor) -> None:
    """The engine serves every workspace, so whoever is limited to some may not stop it."""
    actor.require("admin")
    if actor.workspaces is not None:
        raise NotAllowed(
            f"{actor.name} is limited to workspaces, and this concerns all of them.",
            hint="Use a key that was made without --workspace.",
        )
