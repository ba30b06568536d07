"""What a submitted task may say: the checks of every field, and the limits that it gets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from gateway.errors import Conflict, NotReady
from lifecycle import input_rules
from lifecycle.models import Trace, Workspace
from lifecycle.times import iso

MAX_DESCRIPTION = 32_768
MAX_INPUT_BYTES = 1024 * 1024
MAX_TIMEOUT_SECONDS = 30 * 24 * 3600


def checked(
    description: str, input: Any, priority: int, run_at: datetime | None, labels: dict[str, str] | None
) -> dict[str, Any]:
    """The columns of a new task from what the caller sent; raises ``InvalidInput`` naming the field."""
    now = timezone.now()
    if input is not None:
        input_rules.json_value(input, "input", maximum_bytes=MAX_INPUT_BYTES)
    return {
        "description": input_rules.text(description, "description", maximum=MAX_DESCRIPTION, required=True),
        "input": input,
        "priority": input_rules.whole(priority, "priority", low=-100, high=100),
        "labels": input_rules.labels(labels),
        "created_at": now,
        "run_at": now if run_at is None else _due(run_at),
    }


def refuse_closed(trace: Trace) -> None:
    """Raise ``Conflict`` if the trace or its workspace takes no more tasks."""
    if trace.closed_at is not None:
        raise Conflict(
            f"Trace {trace.pk} was closed at {iso(trace.closed_at)} and takes no more tasks.",
            hint="Create another trace.",
            current_status="closed",
        )
    if trace.workspace.status != Workspace.Status.ACTIVE:
        raise Conflict(
            f"The workspace '{trace.workspace_id}' is {trace.workspace.status} and takes no more tasks.",
            hint="Restore it, or use another one.",
            current_status=trace.workspace.status,
        )


def rules_of(trace: Trace) -> tuple[dict[str, Any], dict[str, Any]]:
    """The agent type's limits and input schema; raise ``NotReady`` if it never had a version that can run."""
    version = trace.agent_type.active_version
    if version is None:
        raise NotReady(
            f"The agent type '{trace.agent_type_id}' has no version that can run: {trace.agent_type.problem}",
            hint="Mend its file in config/agents and run `python manage.py config reload`.",
        )
    return version.config["limits"], version.config["input_schema"]


def timeout(value: float | None, limits: dict[str, Any]) -> float:
    """Seconds of running time of one attempt; 0: no limit."""
    if value is None:
        return float(limits["timeout_seconds"])
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= MAX_TIMEOUT_SECONDS:
        raise input_rules.refuse(
            "timeout_seconds", f"must be from 0 to {MAX_TIMEOUT_SECONDS:,}, not {value!r}."
        )
    return float(value)


def attempts(value: int | None, limits: dict[str, Any]) -> int:
    """Attempts that may fail."""
    if value is None:
        return int(limits["max_attempts"])
    return input_rules.whole(value, "max_attempts", low=1, high=100)


def _due(run_at: Any) -> datetime:
    if not isinstance(run_at, datetime) or timezone.is_naive(run_at):
        raise input_rules.refuse("run_at", "must be a time with a time zone.", "Use datetime.now(UTC) + …")
    try:
        return run_at.astimezone(UTC)
    except OverflowError:
        raise input_rules.refuse("run_at", "lies outside the years 1 to 9999.") from None
