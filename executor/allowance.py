"""How many events one attempt may write; what is beyond is counted and said, never silently lost."""

from __future__ import annotations

import time

BURST = 20_000
PER_SECOND = 5_000
TOTAL = 500_000
SAY_EVERY_SECONDS = 1.0


class Allowance:
    """A token bucket for one attempt's ``text`` and ``log`` events. State is never dropped."""

    def __init__(self) -> None:
        self._tokens = float(BURST)
        self._left = TOTAL
        self._at = time.monotonic()
        self._said_at = 0.0
        self._dropped: dict[str, int] = {}

    def take(self, kind: str) -> bool:
        """Whether one more event of ``kind`` may be written; if not, it is counted."""
        now = time.monotonic()
        self._tokens = min(BURST, self._tokens + (now - self._at) * PER_SECOND)
        self._at = now
        if self._tokens < 1 or self._left < 1:
            self.drop(kind)
            return False
        self._tokens -= 1
        self._left -= 1
        return True

    def drop(self, kind: str) -> None:
        """Count one event of ``kind`` that is not written."""
        self._dropped[kind] = self._dropped.get(kind, 0) + 1

    def dropped(self, *, at_end: bool = False) -> dict[str, int]:
        """What was dropped since it was last said, by kind; at most once a second until the end."""
        now = time.monotonic()
        if not self._dropped or (not at_end and now - self._said_at < SAY_EVERY_SECONDS):
            return {}
        said, self._dropped, self._said_at = self._dropped, {}, now
        return said
