"""What agents say: numbered without gaps, bounded, made storable; and what it changes besides the log."""

from __future__ import annotations

import json
import math
import threading
import time
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone

from executor import agent_events, allowance, events, span_writer
from executor.agent_output import MAX_EVENT_BYTES, clean, clean_text, pieces
from executor.allowance import BURST, PER_SECOND, TOTAL, Allowance
from executor.event_moment import event_moment
from executor.events import Line
from executor.models import TaskEvent
from lifecycle.models import Span, Trace
from tests import make
from tests.threads import together

pytestmark = pytest.mark.django_db


def line(message: str = "x") -> Line:
    return Line("log", {"level": "info", "message": message, "step": None}, timezone.now())


def say(claim, *raw: dict[str, Any]) -> list[TaskEvent]:
    """Record what an agent said; returns the new events."""
    before = make.fresh(claim.task_id).last_seq
    assert agent_events.record({claim.token: [{"at": time.time(), **event} for event in raw]}) == set()
    return list(TaskEvent.objects.filter(task=claim.task_id, seq__gt=before).order_by("seq"))


def a_claim():
    return make.a_claimed_task()[1]


def json_size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())


# --- Numbers -----------------------------------------------------------------------------------------------


def test_numbers_go_on_without_a_gap():
    claim = a_claim()

    events.append({claim.token: [line("a"), line("b")]})
    events.append({claim.token: [line("c")]})

    assert [event["seq"] for event in events.after(claim.task_id, 0, 10)] == [1, 2, 3, 4, 5]
    assert make.fresh(claim.task_id).last_seq == 5


def test_each_task_of_a_batch_has_numbers_of_its_own():
    first, second = a_claim(), a_claim()

    owners = events.append({first.token: [line()] * 3, second.token: [line()]})

    assert {owners[first.token].task_id, owners[second.token].task_id} == {first.task_id, second.task_id}
    assert [make.fresh(claim.task_id).last_seq for claim in (first, second)] == [5, 3]


def test_a_token_that_lost_its_lease_writes_nothing_and_is_told():
    live, ended = a_claim(), a_claim()
    make.finish(ended)
    unknown = uuid4()

    batch = {token: [{"type": "log", "message": "x"}] for token in (live.token, ended.token, unknown)}

    assert agent_events.record(batch) == {ended.token, unknown}
    assert make.event_types(live.task_id)[-1] == "log"
    assert make.event_types(ended.task_id)[-1] == "task.completed"


def test_events_carry_the_attempt_that_said_them():
    make.an_agent_type(retry_on=["error"], retry_delay_seconds=0)
    task, first = make.a_claimed_task()
    say(first, {"type": "log", "message": "one"})
    make.finish(first, "error")
    second = make.a_claim(task)
    [event] = say(second, {"type": "log", "message": "two"})

    assert event.attempt == 2
    assert list(TaskEvent.objects.filter(type="log").order_by("seq").values_list("attempt", flat=True)) == [
        1,
        2,
    ]


def test_a_log_is_read_from_a_cursor():
    claim = a_claim()
    say(claim, *({"type": "log", "message": str(number)} for number in range(5)))

    assert [event["seq"] for event in events.after(claim.task_id, 3, 2)] == [4, 5]
    assert events.after(claim.task_id, 7, 10) == []
    [event] = events.after(claim.task_id, 6, 10)
    assert set(event) == {"seq", "type", "data", "attempt", "at"}
    assert event["at"].endswith("Z")


# --- Sizes -------------------------------------------------------------------------------------------------

LONG = "长" * 100_000
DEEP: Any = "bottom"
for _ in range(500):
    DEEP = {"in": DEEP}


@pytest.mark.parametrize(
    "event",
    [
        {"type": "text", "text": LONG},
        {"type": "log", "message": LONG, "level": LONG, "step": LONG},
        {"type": "progress", "percent": 1, "message": LONG},
        {"type": "step.start", "id": LONG, "parent": LONG, "kind": LONG, "name": LONG, "input": LONG},
        {"type": "step.end", "id": "1", "status": LONG, "output": LONG, "usage": {"model": LONG}},
        {"type": "usage", "model": LONG, "input_tokens": 1},
        {"type": "checkpoint", "data": LONG},
        {"type": "dropped", "count": 3, "kind": LONG},
    ],
    ids=lambda event: event["type"],
)
def test_no_event_is_larger_than_64_kib(event):
    stored = say(a_claim(), event)

    assert stored
    assert all(json_size(one.data) <= MAX_EVENT_BYTES for one in stored)


def test_a_long_text_becomes_several_lines_and_loses_nothing():
    stored = say(a_claim(), {"type": "text", "text": LONG})

    assert "".join(one.data["text"] for one in stored) == LONG
    assert len(stored) > 1


@pytest.mark.parametrize("text", ["", "a", "长" * 7, "a长" * 50, "🙂" * 30])
def test_pieces_tear_no_character(text):
    parts = pieces(text, 16)

    assert "".join(parts) == text
    assert all(len(part.encode()) <= 16 for part in parts)


def test_a_step_keeps_the_beginning_of_what_is_too_large():
    claim = a_claim()
    say(claim, {"type": "step.start", "id": "1", "kind": "tool", "name": "read", "input": LONG})

    assert Span.objects.get().input["truncated"] is True
    assert Span.objects.get().input["bytes"] == json_size(LONG)


# --- Cleaning ----------------------------------------------------------------------------------------------


class Odd:
    def __repr__(self) -> str:
        return "Odd()"  # the same in every process: it names a test

    def __str__(self) -> str:
        return "odd\x00"


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("a\x00b", "ab"),
        ("\ud800x", "?x"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (10**200, str(10**200)),
        ({"a\x00": ["\udfff", math.nan]}, {"a": ["?", "nan"]}),
        ({1: 2, None: 3}, {"1": 2, "None": 3}),
        ((1, 2), [1, 2]),
        (b"raw", "b'raw'"),
        (Odd(), "odd"),
        (True, True),
        (None, None),
    ],
    ids=repr,
)
def test_what_no_database_stores_is_made_storable(value, stored):
    claim = a_claim()
    say(claim, {"type": "checkpoint", "data": value}, {"type": "usage", "x": value})

    assert clean(value) == stored
    assert make.fresh(claim.task_id).checkpoint == stored


def test_a_text_with_characters_that_cannot_be_stored_is_stored_without_them():
    claim = a_claim()
    stored = say(
        claim,
        {"type": "text", "text": "a\x00\ud800"},
        {"type": "log", "message": "b\x00", "level": "\x00", "step": "c\x00"},
        {"type": "progress", "percent": math.nan, "message": "d\x00"},
        {"type": "step.start", "id": "e\x00", "kind": "\x00", "name": "f\x00", "input": "g\x00"},
        {"type": "step.end", "id": "e\x00", "status": "\x00", "output": {"h": "\x00"}, "error": "i\x00"},
    )

    assert [one.type for one in stored] == ["text", "log", "progress", "step.start", "step.end"]
    assert all("\\u0000" not in json.dumps(one.data) for one in stored)


def test_what_is_nested_too_deep_ends_in_an_ellipsis():
    cleaned = clean(DEEP)
    depth = 0
    while isinstance(cleaned, dict):
        cleaned, depth = cleaned["in"], depth + 1

    assert (depth, cleaned) == (64, "…")


def test_text_is_cut_to_its_maximum():
    assert clean_text("abcdef", 4) == "abc…"
    assert clean_text("abcd", 4) == "abcd"
    assert clean_text(12, 4) == "12"


@pytest.mark.parametrize("at", [None, "soon", math.nan, -5, 1e20])
def test_a_time_that_makes_no_sense_is_now(at):
    before = timezone.now()

    assert before <= event_moment({"at": at}) <= timezone.now()


def test_a_time_in_the_future_is_now():
    assert event_moment({"at": time.time() + 3600}) <= timezone.now()


# --- What it changes besides the log ------------------------------------------------------------------------


def test_progress_is_kept_between_0_and_100():
    claim = a_claim()
    say(claim, {"type": "progress", "percent": 250, "message": "far"})
    assert make.fresh(claim.task_id).progress == {"percent": 100.0, "message": "far"}

    say(claim, {"type": "progress", "percent": -1}, {"type": "progress", "percent": 40, "message": "half"})

    assert make.fresh(claim.task_id).progress == {"percent": 40.0, "message": "half"}


def test_usage_adds_up_over_steps_and_events():
    claim = a_claim()
    say(claim, {"type": "usage", "input_tokens": 10, "output_tokens": 1, "cost": 0.1, "model": "m"})
    say(
        claim,
        {"type": "step.end", "id": "1", "usage": {"input_tokens": 5, "cost": 0.2}},
        {"type": "usage", "output_tokens": 2},
    )

    row = make.fresh(claim.task_id)
    assert (row.input_tokens, row.output_tokens, row.cost) == (15, 3, Decimal("0.3"))


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": -5, "cost": "free"},
        {"input_tokens": 2**80, "output_tokens": "many"},
        {"cost": math.nan},
        {"cost": math.inf},
        {"cost": 1e300},
        {"cost": -1.0},
        [1, 2],
        "much",
    ],
    ids=repr,
)
def test_usage_that_makes_no_sense_counts_nothing(usage):
    claim = a_claim()
    say(claim, {"type": "step.end", "id": "1", "usage": usage}, {"type": "log", "message": "on"})

    row = make.fresh(claim.task_id)
    assert (row.input_tokens, row.output_tokens, row.cost or 0) == (0, 0, 0)
    assert make.event_types(claim.task_id)[-2:] == ["step.end", "log"]


def test_a_checkpoint_is_kept_for_the_next_attempt():
    make.an_agent_type(retry_on=["error"], retry_delay_seconds=0)
    task, first = make.a_claimed_task()
    [event] = say(first, {"type": "checkpoint", "data": {"row": 7}})
    make.finish(first, "error")

    assert event.data == {"size": json_size({"row": 7})}
    assert make.a_claim(task).checkpoint == {"row": 7}


def test_a_step_is_a_span_with_its_input_and_output():
    claim = a_claim()
    say(
        claim,
        {"type": "step.start", "id": "a", "parent": None, "kind": "tool", "name": "read", "input": {"p": 1}},
        {"type": "step.start", "id": "b", "parent": "a", "kind": "bogus", "name": "inner"},
    )
    say(claim, {"type": "step.end", "id": "b", "status": "error", "error": "no file"})
    [end] = say(
        claim,
        {"type": "step.end", "id": "a", "status": "ok", "output": [1], "usage": {"model": "m"}},
    )

    outer, inner = Span.objects.order_by("span_id")
    assert (outer.kind, outer.status, outer.input, outer.output, outer.model) == (
        "tool",
        "ok",
        {"p": 1},
        [1],
        "m",
    )
    assert (inner.kind, inner.status, inner.parent_span_id, inner.error) == ("chain", "error", "a", "no file")
    assert outer.ended_at is not None
    assert end.data == {"id": "a", "status": "ok", "usage": {"model": "m"}}


def test_each_change_of_a_span_has_the_traces_next_number():
    claim = a_claim()
    say(claim, *({"type": "step.start", "id": str(n), "kind": "llm", "name": "n"} for n in range(3)))
    say(claim, {"type": "step.end", "id": "1"})

    assert list(Span.objects.order_by("span_id").values_list("change", flat=True)) == [1, 4, 3]
    assert Trace.objects.get().last_change == 4


def test_a_step_of_another_task_cannot_be_ended():
    mine, other = a_claim(), a_claim()
    say(mine, {"type": "step.start", "id": "a", "kind": "tool", "name": "n"})

    say(other, {"type": "step.end", "id": "a", "status": "error"})

    assert Span.objects.get().status == "running"


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_an_interrupting_task_and_the_steps_of_the_active_one_do_not_lock_each_other_out(monkeypatch):
    task, claim = make.a_claimed_task()
    writing = threading.Event()
    write = span_writer.write

    def write_once_the_other_waits(shares):
        writing.set()
        while not somebody_waits_for_a_lock():
            time.sleep(0.01)
        write(shares)

    def interrupt():
        assert writing.wait(30)
        return make.manager.submit_task(task.trace_id, "Hurry", on_busy="interrupt", actor=make.ANNA)

    monkeypatch.setattr(span_writer, "write", write_once_the_other_waits)
    step = {"type": "step.start", "id": "a", "kind": "tool", "name": "n"}

    lost, _ = together(lambda: record_in_a_transaction({claim.token: [step]}), interrupt)

    assert lost == set()
    assert make.event_types(task)[-2:] == ["step.start", "task.cancelling"]


def record_in_a_transaction(batch) -> set:
    with transaction.atomic():
        return agent_events.record(batch)


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # within a transaction it shows what it once saw
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone() is not None


# --- The allowance -----------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """The allowance's clock, moved by hand."""
    moment = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(allowance, "time", SimpleNamespace(monotonic=lambda: moment.now))
    return moment


def test_a_burst_is_allowed_and_what_is_beyond_is_counted(clock):
    one = Allowance()

    taken = sum(one.take("text") for _ in range(BURST + 30))
    one.take("log")

    assert taken == BURST
    assert one.dropped() == {"text": 30, "log": 1}
    assert one.dropped() == {}


def test_the_allowance_grows_by_the_second(clock):
    one = Allowance()
    for _ in range(BURST):
        one.take("text")

    clock.now += 2

    assert sum(one.take("text") for _ in range(BURST)) == 2 * PER_SECOND


def test_what_was_dropped_is_said_once_a_second_and_at_the_end(clock):
    one = Allowance()
    for _ in range(BURST + 1):
        one.take("text")
    assert one.dropped() == {"text": 1}
    one.take("text")
    assert one.dropped() == {}
    assert one.dropped(at_end=True) == {"text": 1}

    one.take("log")
    clock.now += 0.0001

    assert one.dropped() == {}
    clock.now += 1
    assert one.dropped() == {"log": 1}


def test_the_total_is_bounded(clock):
    one = Allowance()
    taken = 0
    for _ in range(TOTAL // BURST + 2):
        clock.now += 60
        taken += sum(one.take("text") for _ in range(BURST))

    assert taken == TOTAL
    assert one.dropped()["text"] > 0
