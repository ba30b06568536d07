"""What an agent's events do: lines of the log, and the rows they change (spans, usage, progress, files).

``record`` takes what one process's agents said since the last batch and writes it in the caller's
transaction, fenced by each attempt's token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db.models import F, Value
from django.db.models.functions import Coalesce

from executor import doorbell, events, span_writer
from executor.agent_output import capped, clean, clean_text, pieces, size_of
from executor.event_moment import event_moment
from executor.events import Line, Owner
from executor.models import Artifact, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from uuid import UUID

RawEvent = dict[str, Any]
MAX_COUNT = 10**12
MAX_COST = 10.0**8
LEVELS = {"debug", "info", "warning", "error"}


@dataclass
class Digest:
    """One attempt's share of a batch: its lines, and what they change besides the log."""

    lines: list[Line] = field(default_factory=list)
    spans: list[RawEvent] = field(default_factory=list)
    usage: list[RawEvent] = field(default_factory=list)
    columns: dict[str, Any] = field(default_factory=dict)
    artifacts: list[RawEvent] = field(default_factory=list)


def record(batch: Mapping[UUID, Sequence[RawEvent]]) -> set[UUID]:
    """Write what agents said. Returns the tokens that lost their lease: nothing of theirs was written."""
    digests = {token: digest_of(some) for token, some in batch.items()}
    digests = {token: one for token, one in digests.items() if one.lines}
    if not digests:
        return set()
    span_writer.lock_traces([token for token, one in digests.items() if one.spans])
    owners = events.append({token: one.lines for token, one in digests.items()})
    span_writer.write(
        {owners[token].task_id: (owners[token], one.spans) for token, one in _live(digests, owners)}
    )
    for token, one in _live(digests, owners):
        _update_task(token, one)
        Artifact.objects.bulk_create(
            Artifact(task_id=owners[token].task_id, **kept) for kept in one.artifacts
        )
    if owners:
        doorbell.ring("news")
    return set(digests) - set(owners)


def digest_of(raw: Sequence[RawEvent]) -> Digest:
    """Sort an attempt's events into lines and effects; consecutive texts of a step become one line."""
    digest = Digest()
    text: list[str] = []
    texting: RawEvent | None = None
    for event in raw:
        if event["type"] == "text" and texting is not None and event.get("step") == texting.get("step"):
            text.append(clean_text(event.get("text", "")))
            continue
        _flush_text(digest, texting, text)
        texting, text = (
            (event, [clean_text(event.get("text", ""))]) if event["type"] == "text" else (None, [])
        )
        if event["type"] != "text":
            HANDLERS[event["type"]](digest, event)
    _flush_text(digest, texting, text)
    return digest


def _flush_text(digest: Digest, event: RawEvent | None, text: list[str]) -> None:
    if event is None:
        return
    for piece in pieces("".join(text)):
        if piece:
            _line(digest, event, {"text": piece, "step": _short(event.get("step"), 16)})


def _log(digest: Digest, event: RawEvent) -> None:
    level = event.get("level")
    message = clean_text(event.get("message", ""))
    data = {
        "level": level if level in LEVELS else "info",
        "message": message if len(message) <= 1024 else pieces(message)[0],
        "step": _short(event.get("step"), 16),
    }
    _line(digest, event, data)


def _progress(digest: Digest, event: RawEvent) -> None:
    percent = event.get("percent")
    known = percent if isinstance(percent, int | float) and percent == percent else 0
    data = {
        "percent": float(min(max(known, 0), 100)),
        "message": clean_text(event.get("message") or "", 1000),
    }
    digest.columns["progress"] = data
    _line(digest, event, data)


def _step_start(digest: Digest, event: RawEvent) -> None:
    digest.spans.append(event)
    data = {
        "id": _short(event.get("id"), 16),
        "parent": _short(event.get("parent"), 16),
        "kind": span_writer.kind_of(event),
        "name": clean_text(event.get("name", ""), 200),
    }
    _line(digest, event, data)


def _step_end(digest: Digest, event: RawEvent) -> None:
    digest.spans.append(event)
    usage = span_writer.usage_of(event)
    if usage:
        digest.usage.append(usage)
    data = {
        "id": _short(event.get("id"), 16),
        "status": span_writer.status_of(event),
        "usage": capped(usage),
    }
    _line(digest, event, data)


def _usage(digest: Digest, event: RawEvent) -> None:
    usage = {key: value for key, value in event.items() if key not in ("type", "at")}
    digest.usage.append(usage)
    _line(digest, event, capped(usage))


def _checkpoint(digest: Digest, event: RawEvent) -> None:
    data = clean(event.get("data"))
    digest.columns["checkpoint"] = data
    _line(digest, event, {"size": size_of(data)})


def _artifact(digest: Digest, event: RawEvent) -> None:
    digest.artifacts.append(event["kept"])
    _line(digest, event, event["kept"])


def _dropped(digest: Digest, event: RawEvent) -> None:
    _line(digest, event, {"count": int(event["count"]), "kind": clean_text(event["kind"], 24)})


HANDLERS: dict[str, Callable[[Digest, RawEvent], None]] = {
    "log": _log,
    "progress": _progress,
    "step.start": _step_start,
    "step.end": _step_end,
    "usage": _usage,
    "checkpoint": _checkpoint,
    "artifact": _artifact,
    "dropped": _dropped,
}
SAYABLE = frozenset({"text", "log", "progress", "step.start", "step.end", "usage"})
"""What an agent may say without waiting."""
STORABLE = frozenset({"artifact", "checkpoint"})
"""What it asks for and waits until it is durable."""


def _line(digest: Digest, event: RawEvent, data: dict[str, Any]) -> None:
    digest.lines.append(Line(event["type"], data, event_moment(event)))


def _short(value: Any, maximum: int) -> str | None:
    return None if value is None else clean_text(value, maximum)


def _live(digests: dict[UUID, Digest], owners: dict[UUID, Owner]) -> list[tuple[UUID, Digest]]:
    return [(token, one) for token, one in digests.items() if token in owners]


def _update_task(token: UUID, one: Digest) -> None:
    columns: dict[str, Any] = dict(one.columns)
    tokens_in = sum(_count(usage.get("input_tokens")) for usage in one.usage)
    tokens_out = sum(_count(usage.get("output_tokens")) for usage in one.usage)
    costs = [_cost(usage.get("cost")) for usage in one.usage if "cost" in usage]
    if tokens_in:
        columns["input_tokens"] = F("input_tokens") + tokens_in
    if tokens_out:
        columns["output_tokens"] = F("output_tokens") + tokens_out
    if costs:
        columns["cost"] = Coalesce(F("cost"), Value(Decimal(0))) + Decimal(f"{sum(costs):.8f}")
    if columns:
        Task.objects.filter(lease_token=token).update(**columns)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 < value < MAX_COUNT else 0


def _cost(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and 0 < value < MAX_COST else 0.0
