"""The journal: one writer, in order, in batches, whatever happens to the database or to one entry."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from typing import Any

import pytest
from django.db import connection, connections

from executor.journal import Journal
from executor.models import TaskEvent
from gateway.errors import LeaseLost
from tests import make

pytestmark = pytest.mark.django_db(transaction=True)
WAIT = 30


class Lost:
    """What the journal says of lost leases."""

    def __init__(self) -> None:
        self.tokens: list[Any] = []

    def __call__(self, token: Any) -> None:
        self.tokens.append(token)


@pytest.fixture
def lost() -> Lost:
    return Lost()


@pytest.fixture
def journal(lost) -> Iterator[Journal]:
    writer = Journal(lost)
    yield writer
    assert writer.close(WAIT), "the journal's thread did not end"


def text(words: str, step: str | None = None) -> dict[str, Any]:
    return {"type": "text", "text": words, "step": step, "at": time.time()}


def log(message: str) -> dict[str, Any]:
    return {"type": "log", "message": message, "at": time.time()}


UNSTORABLE = {"type": "artifact", "kept": {"no": "such column"}}


def said(task) -> list[dict[str, Any]]:
    """The data of what the agent said, in order."""
    rows = TaskEvent.objects.filter(task=task).exclude(type__startswith="task.").order_by("seq")
    return [row.data for row in rows]


# --- Order and batches -------------------------------------------------------------------------------------


def test_what_is_stored_is_durable_when_the_future_is_done(journal):
    task, claim = make.a_claimed_task()

    journal.store(claim.token, log("one")).result(WAIT)

    assert [data["message"] for data in said(task)] == ["one"]


def test_everything_an_attempt_said_stands_before_its_end(journal):
    task, claim = make.a_claimed_task()
    for number in range(500):
        journal.say(claim.token, log(str(number)))

    assert journal.end(make.an_ending(claim)).result(WAIT) is True

    assert [data["message"] for data in said(task)] == [str(number) for number in range(500)]
    assert make.event_types(task)[-1] == "task.completed"


def test_texts_that_follow_each_other_become_one_line(journal):
    task, claim = make.a_claimed_task()
    for part in ("分析", "销售", "数据"):
        journal.say(claim.token, text(part))
    journal.say(claim.token, log("between"))
    journal.say(claim.token, text("and "))
    journal.say(claim.token, text("more"))
    journal.store(claim.token, log("last")).result(WAIT)

    assert [data.get("text") or data.get("message") for data in said(task)] == [
        "分析销售数据", "between", "and more", "last",
    ]  # fmt: skip


def test_texts_of_different_steps_stay_apart(journal):
    task, claim = make.a_claimed_task()
    for words, step in [("a", "s1"), ("b", "s1"), ("c", "s2"), ("d", None)]:
        journal.say(claim.token, text(words, step))
    journal.store(claim.token, log("last")).result(WAIT)

    assert [(data["text"], data["step"]) for data in said(task)[:-1]] == [
        ("ab", "s1"), ("c", "s2"), ("d", None),
    ]  # fmt: skip


def test_many_attempts_share_batches_and_each_log_stays_whole(journal):
    tasks = make.many_tasks(20)
    claims = make.claims(limit=20)
    for number in range(50):
        for claim in claims:
            journal.say(claim.token, log(f"{claim.description} {number}"))
    ends = [journal.end(make.an_ending(claim)) for claim in claims]

    assert all(end.result(WAIT) for end in ends)

    for task in tasks:
        assert [data["message"] for data in said(task)] == [
            f"{task.description} {number}" for number in range(50)
        ]


def test_closing_writes_what_is_left(lost):
    task, claim = make.a_claimed_task()
    writer = Journal(lost)
    writer.say(claim.token, log("the last word"))

    assert writer.close(WAIT)

    assert [data["message"] for data in said(task)] == ["the last word"]


def test_closing_an_idle_journal_ends_its_thread(lost):
    assert Journal(lost).close(WAIT)


# --- Lost leases -------------------------------------------------------------------------------------------


def test_a_lost_lease_is_told_and_nothing_of_it_is_written(journal, lost):
    task, claim = make.a_claimed_task()
    make.finish(claim)

    with pytest.raises(LeaseLost):
        journal.store(claim.token, log("too late")).result(WAIT)

    assert lost.tokens == [claim.token]
    assert said(task) == []


def test_an_end_without_a_lease_is_refused(journal):
    task, claim = make.a_claimed_task()
    make.finish(claim, result="first")

    assert journal.end(make.an_ending(claim, result="second")).result(WAIT) is False

    assert make.fresh(task).result == "first"


def test_a_lost_lease_does_not_hold_up_the_others(journal):
    (_, gone), (task, claim) = make.a_claimed_task(), make.a_claimed_task()
    make.finish(gone)

    late = journal.store(gone.token, log("too late"))
    journal.store(claim.token, log("in time")).result(WAIT)

    assert isinstance(late.exception(WAIT), LeaseLost)
    assert [data["message"] for data in said(task)] == ["in time"]


# --- Entries that cannot be stored, and people who no longer wait -------------------------------------------


def together_in_one_batch(journal: Journal, put) -> Any:
    """Let ``put`` add its entries while the writer is busy, so that one batch takes them all."""
    with journal._wake:
        return put()


def test_a_poison_entry_does_not_hold_up_the_others(journal, caplog):
    (task, claim), (other, poison) = make.a_claimed_task(), make.a_claimed_task()

    def put() -> list[Future]:
        return [
            journal.store(claim.token, log("before")),
            journal.store(poison.token, UNSTORABLE),
            journal.store(claim.token, log("after")),
            journal.end(make.an_ending(claim)),
            journal.store(poison.token, log("still here")),
        ]

    before, bad, after, end, still = together_in_one_batch(journal, put)

    assert isinstance(bad.exception(WAIT), ValueError)
    assert (before.result(WAIT), after.result(WAIT), end.result(WAIT), still.result(WAIT)) == (
        None, None, True, None,
    )  # fmt: skip
    assert [data["message"] for data in said(task)] == ["before", "after"]
    assert [data["message"] for data in said(other)] == ["still here"]
    assert "cannot be stored" in caplog.text


def test_an_end_that_cannot_be_stored_is_told_and_leaves_the_attempt_as_it_is(journal, caplog):
    task, claim = make.a_claimed_task()

    end = journal.end(make.an_ending(claim, result={"not": object()}))

    assert isinstance(end.exception(WAIT), ValueError)
    assert make.fresh(task).status == "running"
    assert journal.end(make.an_ending(claim, "error")).result(WAIT) is True


def test_someone_who_no_longer_waits_holds_nothing_up_and_doubles_nothing(journal):
    task, claim = make.a_claimed_task()

    def put() -> list[Future]:
        given_up = journal.store(claim.token, log("checkpoint"))
        given_up.cancel()
        return [journal.store(claim.token, log("next"))]

    [following] = together_in_one_batch(journal, put)
    following.result(WAIT)
    journal.store(claim.token, log("and on")).result(WAIT)

    assert [data["message"] for data in said(task)] == ["checkpoint", "next", "and on"]


# --- A database that cannot be written --------------------------------------------------------------------


@pytest.fixture
def warned(caplog) -> Iterator[threading.Event]:
    """Set once the journal says that it tries again."""
    event = threading.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "trying again" in record.getMessage():
                event.set()

    handler = Handler()
    logging.getLogger("executor.journal").addHandler(handler)
    yield event
    logging.getLogger("executor.journal").removeHandler(handler)


@pytest.mark.sqlite
def test_what_cannot_be_written_while_the_database_is_locked_is_written_afterwards(lost, warned, monkeypatch):
    task, claim = make.a_claimed_task()
    options = connections.settings["default"]["OPTIONS"]
    monkeypatch.setitem(options, "timeout", 0.05)  # the writer's own connection gives up at once
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        writer = Journal(lost)
        stored = writer.store(claim.token, log("patient"))
        end = writer.end(make.an_ending(claim))
        assert warned.wait(WAIT)
        assert not stored.done()
        holder.execute("ROLLBACK")

    assert stored.result(WAIT) is None
    assert end.result(WAIT) is True
    assert writer.close(WAIT)
    assert [data["message"] for data in said(task)] == ["patient"]


@pytest.mark.postgres
def test_a_connection_that_the_server_dropped_is_made_again(journal, warned):
    task, claim = make.a_claimed_task()
    journal.store(claim.token, log("before")).result(WAIT)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    journal.store(claim.token, log("after")).result(WAIT)

    assert [data["message"] for data in said(task)] == ["before", "after"]
    assert warned.is_set()
