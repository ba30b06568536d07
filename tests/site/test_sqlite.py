"""How a transaction waits for SQLite's write lock."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest
from django.db import OperationalError, connection, transaction

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="is about SQLite's lock"),
]


@pytest.fixture
def other():
    """A connection of somebody else, who may hold the lock."""
    with closing(
        sqlite3.connect(
            connection.settings_dict["NAME"], uri=True, isolation_level=None, check_same_thread=False
        )
    ) as held:
        yield held


def busy_timeout():
    with connection.cursor() as cursor:
        return cursor.execute("PRAGMA busy_timeout").fetchone()[0]


def test_a_transaction_waits_until_the_lock_is_free(other):
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    release.start()

    with transaction.atomic():
        assert not other.in_transaction

    release.join()


def test_it_gives_up_after_its_busy_timeout_and_keeps_that_for_the_next_time(other):
    other.execute("BEGIN IMMEDIATE")
    usual = busy_timeout()
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 50")

    with pytest.raises(OperationalError, match="locked"), transaction.atomic():
        pass

    assert busy_timeout() == 50
    other.execute("COMMIT")
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {usual}")
    with transaction.atomic():
        assert connection.in_atomic_block
