"""Attempts and their leases: claim, renew, finish, release, reap. Every write is fenced by the token."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection, transaction

from executor import candidates, database_clock, transitions
from executor.crash_points import crash_point
from executor.models import Attempt, Task
from executor.states import Reason, TaskStatus
from executor.transitions import Move, Start
from lifecycle.agent_config import AgentConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

CLAIM_IDLE_LIMIT = "5s"
CLAIM_LOCK = 0x6761746577617901  # "gateway" and 1: the key of the PostgreSQL advisory lock
RETRY_DELAY_CAP_SECONDS = 3600.0

Outcome = Attempt.Outcome
FAILURES = frozenset({Outcome.ERROR, Outcome.TIMEOUT, Outcome.WORKER_LOST})


@dataclass(frozen=True)
class WorkerIdentity:
    """A process that claims: its name, and where its pid means something."""

    name: str
    host: str
    pid: int


@dataclass(frozen=True)
class Claim:
    """What a worker needs to run one attempt."""

    task_id: UUID
    trace_id: UUID
    workspace_id: str
    agent_type: str
    attempt: int
    token: UUID
    mode: str
    description: str
    input: Any
    labels: dict[str, str]
    checkpoint: Any
    timeout_seconds: float
    config: AgentConfig


@dataclass(frozen=True)
class Ending:
    """How an attempt ended, as its worker saw it."""

    token: UUID
    task_id: UUID
    outcome: Attempt.Outcome
    worker: str
    result: Any = None
    error: dict[str, Any] | None = None
    """``{"code", "message", "detail", "retryable"}`` unless completed, released or cancelled."""
    killed: bool = False
    """A cancelled run that had to be stopped by force."""


@dataclass(frozen=True)
class Renewal:
    """What renewing told: leases that are no longer ours, and tasks that are to stop."""

    lost: set[UUID] = field(default_factory=set)
    cancelling: set[UUID] = field(default_factory=set)


def claim(worker: WorkerIdentity, free: Mapping[str, int], *, limit: int = 50) -> list[Claim]:
    """Take up to ``limit`` due tasks, at most ``free[mode]`` of each mode, and lease them to ``worker``.

    Serialised across all workers, so that limits are exact and nothing is claimed twice.
    """
    with transaction.atomic():
        _lock_claims()
        moment = database_clock.now()
        chosen = candidates.choose(moment, free, limit)
        if connection.features.has_select_for_update:
            # On PostgreSQL someone may be cancelling one of them right now: keep what is still pending.
            ids = [one.task_id for one in chosen]
            rows = (
                Task.objects.pending().filter(pk__in=ids).order_by("pk").select_for_update(skip_locked=True)
            )
            still = set(rows.values_list("pk", flat=True))
            chosen = [one for one in chosen if one.task_id in still]
        if not chosen:
            return []
        starts = [Start(one.task_id, uuid4(), one.version_id) for one in chosen]
        tasks = transitions.start(starts, actor=worker.name)
        until = moment + timedelta(seconds=settings.GATEWAY_LEASE_SECONDS)
        Attempt.objects.bulk_create(
            Attempt(
                task=task,
                number=task.attempt,
                token=one.token,
                worker=worker.name,
                host=worker.host,
                pid=worker.pid,
                started_at=moment,
                lease_until=until,
            )
            for task, one in zip(tasks, starts, strict=True)
        )
    crash_point("after_claim")
    return [_claim_of(task, one.mode) for task, one in zip(tasks, chosen, strict=True)]


def renew(tokens: Collection[UUID]) -> Renewal:
    """Extend the leases of live attempts, and tell which are lost and which tasks are to stop."""
    if not tokens:
        return Renewal()
    until = database_clock.now() + timedelta(seconds=settings.GATEWAY_LEASE_SECONDS)
    Attempt.objects.filter(token__in=tokens, ended_at=None).update(lease_until=until)
    return look(tokens)


def look(tokens: Collection[UUID]) -> Renewal:
    """Which of these leases are lost and which tasks are to stop, without extending anything."""
    rows = Task.objects.filter(lease_token__in=tokens).values_list("lease_token", "status")
    live = {token: status for token, status in rows if token is not None}
    return Renewal(
        lost={token for token in tokens if token not in live},
        cancelling={token for token, status in live.items() if status == TaskStatus.CANCELLING},
    )


def cancelling() -> set[UUID]:
    """The tokens of all attempts that are to stop."""
    rows = Task.objects.filter(status=TaskStatus.CANCELLING)
    return {token for token in rows.values_list("lease_token", flat=True) if token is not None}


def finish(endings: Sequence[Ending]) -> list[bool]:
    """End attempts and move their tasks on, in one transaction; tells for each whether its lease still stood.

    A task that was being cancelled ends as cancelled, whatever its attempt came to: the one who asked was
    told so. A failure is tried again while attempts remain.
    """
    if not endings:
        return []
    crash_point("before_terminal_write")
    with transaction.atomic():
        facts = _retry_facts([one.task_id for one in endings if one.outcome in FAILURES])
        moves = [_move_for(one, facts.get(one.task_id)) for one in endings]
        won = transitions.apply(moves)
        losers = [index for index, done in enumerate(won) if not done]
        second = transitions.apply([_cancelled(endings[index]) for index in losers]) if losers else []
        for index, done in zip(losers, second, strict=True):
            won[index] = done
        cancelled = {endings[index].token for index, done in zip(losers, second, strict=True) if done}
        transitions.end_attempts(
            {
                one.token: Outcome.CANCELLED if one.token in cancelled else one.outcome
                for one, done in zip(endings, won, strict=True)
                if done
            }
        )
        transaction.on_commit(lambda: crash_point("after_terminal_write"))
    return won


def expired(moment: datetime) -> list[Attempt]:
    """Live attempts whose lease ran out before ``moment``, the oldest first."""
    rows = Attempt.objects.filter(ended_at=None, lease_until__lt=moment).order_by("lease_until")
    return list(rows[:500])


def lost_ending(attempt: Attempt, why: str) -> Ending:
    """The ending of an attempt whose worker is gone."""
    return Ending(
        token=attempt.token,
        task_id=attempt.task_id,
        outcome=Outcome.WORKER_LOST,
        worker="clock",
        error={
            "code": "worker_lost",
            "message": f"Attempt {attempt.number} was lost: {why}.",
            "detail": {"worker": attempt.worker},
            "retryable": True,
        },
    )


def delay_before(failures: int, base_seconds: float) -> timedelta:
    """The wait after the ``failures``-th failure: ``base_seconds``, doubled each time, at most an hour.

    There is no jitter, so that the exact time of the next try can be shown.
    """
    doubled = base_seconds * 2.0 ** min(failures - 1, 30)
    return timedelta(seconds=max(base_seconds, min(doubled, RETRY_DELAY_CAP_SECONDS)))


def _lock_claims() -> None:
    # SQLite: BEGIN IMMEDIATE (the database setting) has taken the only write lock already.
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # Everybody waits for whoever holds it: one that freezes now loses its connection, and the lock.
            cursor.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %s, true),"
                " pg_advisory_xact_lock(%s)",
                [CLAIM_IDLE_LIMIT, CLAIM_LOCK],
            )


def _claim_of(task: Task, mode: str) -> Claim:
    assert task.agent_version is not None  # noqa: S101 - transitions.start set it
    assert task.lease_token is not None  # noqa: S101 - and this
    return Claim(
        task_id=task.pk,
        trace_id=task.trace_id,
        workspace_id=task.workspace_id,
        agent_type=task.agent_type_id,
        attempt=task.attempt,
        token=task.lease_token,
        mode=mode,
        description=task.description,
        input=task.input,
        labels=task.labels,
        checkpoint=task.checkpoint,
        timeout_seconds=task.timeout_seconds,
        config=_config_of(json.dumps(task.agent_version.config)),
    )


@functools.lru_cache(maxsize=256)
def _config_of(text: str) -> AgentConfig:
    # By its text, so that it holds whatever becomes of the versions' ids; checking takes 30 times as long.
    return AgentConfig.model_validate_json(text)


@dataclass(frozen=True)
class _RetryFacts:
    failures: int
    max_attempts: int
    limits: dict[str, Any]
    waiting: bool

    def lost_while_waiting(self, one: Ending) -> bool:
        return self.waiting and one.outcome == Outcome.WORKER_LOST


def _retry_facts(ids: Iterable[UUID]) -> dict[UUID, _RetryFacts]:
    wanted = list(ids)
    if not wanted:
        return {}
    rows = Task.objects.filter(pk__in=wanted).select_for_update(of=("self",)).order_by("pk")
    return {
        row.pk: _RetryFacts(
            row.failures,
            row.max_attempts,
            row.agent_version.config["limits"],
            row.status == TaskStatus.WAITING,
        )
        for row in rows.select_related("agent_version").only(
            "failures", "max_attempts", "status", "agent_version__config"
        )
        if row.agent_version is not None
    }


def _move_for(one: Ending, facts: _RetryFacts | None) -> Move:
    common: dict[str, Any] = {
        "task_id": one.task_id,
        "actor": one.worker,
        "token": one.token,
        "sources": frozenset({TaskStatus.RUNNING, TaskStatus.WAITING}),
    }
    if one.outcome == Outcome.COMPLETED:
        # An earlier attempt may have left its error: the task has none now.
        return Move(to=TaskStatus.COMPLETED, columns={"result": one.result, "error": None}, **common)
    if one.outcome == Outcome.RELEASED:
        due = database_clock.now()
        return Move(to=TaskStatus.PENDING, reason=Reason.RELEASED, columns={"run_at": due}, **common)
    if one.outcome == Outcome.CANCELLED:
        return _cancelled(one)
    if one.outcome in FAILURES and facts is not None and facts.lost_while_waiting(one):
        # It did nothing wrong: the attempt is not counted, and the next one not put off.
        return _again(one, facts.failures, timedelta(0), common)
    if one.outcome in FAILURES and facts is not None and _may_retry(one, facts):
        failures = facts.failures + 1
        return _again(one, failures, delay_before(failures, facts.limits["retry_delay_seconds"]), common)
    failures = (facts.failures if facts else 0) + (1 if one.outcome in FAILURES else 0)
    return Move(
        to=TaskStatus.FAILED,
        reason=Reason(one.outcome),
        columns={"failures": failures, "error": one.error},
        data={"error": one.error},
        **common,
    )


def _again(one: Ending, failures: int, delay: timedelta, common: dict[str, Any]) -> Move:
    due = database_clock.now() + delay
    return Move(
        to=TaskStatus.PENDING,
        reason=Reason.RETRY,
        columns={"failures": failures, "run_at": due, "error": one.error},
        data={"error": one.error, "run_at": due.isoformat()},
        **common,
    )


def _may_retry(one: Ending, facts: _RetryFacts) -> bool:
    if facts.failures + 1 >= facts.max_attempts:
        return False
    asked = one.outcome == Outcome.ERROR and bool(one.error and one.error.get("retryable"))
    return asked or one.outcome in facts.limits["retry_on"]


def _cancelled(one: Ending) -> Move:
    return Move(
        task_id=one.task_id,
        to=TaskStatus.CANCELLED,
        actor=one.worker,
        token=one.token,
        reason=Reason.KILLED if one.killed else None,
        keep_reason=not one.killed,
        sources=frozenset({TaskStatus.CANCELLING}),
    )
