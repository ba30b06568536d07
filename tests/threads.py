"""Runs functions at the same moment, each in a thread with a database connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

T = TypeVar("T")
LIMIT_SECONDS = 60


def together(*functions: Callable[[], T]) -> list[T]:
    """Start all functions at once and return what each returned; raises what one of them raised."""
    start = threading.Barrier(len(functions), timeout=LIMIT_SECONDS)

    def run(function: Callable[[], T]) -> T:
        try:
            start.wait()
            return function()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(functions)) as pool:
        futures = [pool.submit(run, function) for function in functions]
        return [future.result(LIMIT_SECONDS) for future in futures]
