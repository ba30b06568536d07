"""Waits for SQLite's one write lock at an even pace.

SQLite itself tries again ever more seldom, at last every 100 ms. Among busy writers whoever waited longest is
therefore the least likely to get its turn: in a burst of submits, claims were measured to wait 400 ms for
transactions of 2 ms.
"""

from __future__ import annotations

import sqlite3
import time

from django.db import OperationalError
from django.db.backends.sqlite3 import base

EAGER_SECONDS = 0.1
"""How long a wait is usual; after it something holds the lock, and looking often would not help."""
EAGER_PAUSE_SECONDS = 0.001
PATIENT_PAUSE_SECONDS = 0.01


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection whose transactions wait as long as its ``PRAGMA busy_timeout`` says, but evenly."""

    def _start_transaction_under_autocommit(self) -> None:
        patience_ms = self.connection.execute("PRAGMA busy_timeout").fetchone()[0]
        self.connection.execute("PRAGMA busy_timeout = 0")
        try:
            self._begin(patience_ms / 1000)
        finally:
            self.connection.execute(f"PRAGMA busy_timeout = {patience_ms}")

    def _begin(self, patience: float) -> None:
        began = time.monotonic()
        while True:
            try:
                super()._start_transaction_under_autocommit()  # type: ignore[misc]
                return
            except OperationalError as exc:
                waited = time.monotonic() - began
                if not _is_busy(exc) or waited >= patience:
                    raise
            time.sleep(EAGER_PAUSE_SECONDS if waited < EAGER_SECONDS else PATIENT_PAUSE_SECONDS)


def _is_busy(error: OperationalError) -> bool:
    code = getattr(error.__cause__, "sqlite_errorcode", 0)
    return bool(code & 0xFF == sqlite3.SQLITE_BUSY)  # the rest says why it is busy
