"""Numbers that all processes of one `manage.py worker` share, without a lock that a dead one could hold.

Made before the forks, in anonymous shared memory. Each number is written whole by one process at a time;
times are ``time.monotonic()``, which all processes of a machine agree on.
"""

from __future__ import annotations

import mmap
import time

ROUND_TRIP, DRAIN_BY = range(2)


class Pulse:
    """When a canary last made its way through the cluster, and until when running work may finish."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self._numbers = memoryview(self._memory).cast("d")
        self.beat()

    def beat(self) -> None:
        """A canary came back: pusher, worker and monitor all live."""
        self._numbers[ROUND_TRIP] = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since a canary last came back."""
        return time.monotonic() - float(self._numbers[ROUND_TRIP])

    def drain(self, seconds: float) -> None:
        """From now on claim nothing; what runs may finish within ``seconds``."""
        self._numbers[DRAIN_BY] = time.monotonic() + seconds

    @property
    def draining(self) -> bool:
        """Whether nothing is to be claimed any more."""
        return bool(self._numbers[DRAIN_BY])

    @property
    def drain_left(self) -> float:
        """Seconds that running work may still take; never below 0."""
        return max(float(self._numbers[DRAIN_BY]) - time.monotonic(), 0.0)


shared = Pulse()
"""This process's, and after the forks its whole tree's."""
