"""When an agent said something."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone


def event_moment(event: dict[str, Any]) -> datetime:
    """When the agent said it, by its own clock; now, if that makes no sense or lies in the future."""
    at = event.get("at")
    now = timezone.now()
    if not isinstance(at, int | float) or not 0 < at < 1e11:
        return now
    return min(datetime.fromtimestamp(at, UTC), now)
