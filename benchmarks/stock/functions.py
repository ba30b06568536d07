"""The plain functions that Django-Q2 runs."""

from __future__ import annotations

import time

from benchmarks.agents import WAIT_SECONDS
from benchmarks.recorded import note


def no_op(path: str, key: str) -> None:
    """Do nothing."""
    started = time.time()
    note(path, key, started, time.time())


def wait(path: str, key: str) -> None:
    """Wait as for a model's answer."""
    started = time.time()
    time.sleep(WAIT_SECONDS)
    note(path, key, started, time.time())
