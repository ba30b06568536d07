"""Following a task: every event once, in order, whatever happens on the way."""

import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors
from gateway.client.python import GatewayClient, streams
from gateway.client.python.streams import HEARTBEAT, messages_in
from tests.client.strange import STREAM_HEAD, CuttingProxy, answer, chunk, event, hang, problem, stream


def numbers(events):
    return [one["seq"] for one in events]


def test_events_come_in_order_and_the_stream_ends_after_the_final_one(lost):
    client, server = lost(
        stream(event(1), event(2) + event(3), event(4, "task.completed"), event(5), ends=False)
    )

    assert numbers(client.stream_events("t")) == [1, 2, 3, 4]
    assert server.requests[0].target == "/api/v1/tasks/t/stream"
    assert server.requests[0].headers["last-event-id"] == "0"


def test_after_a_cut_it_goes_on_behind_the_last_event(lost):
    client, server = lost(
        stream(event(1), event(2), event(3)[:20], ends=False),
        lambda *_: None,
        stream(event(3), ends=True),
        stream(event(4, "task.failed")),
    )

    assert numbers(client.stream_events("t")) == [1, 2, 3, 4]
    assert [request.headers["last-event-id"] for request in server.requests] == ["0", "2", "2", "3"]


def test_what_was_seen_already_is_left_out(lost):
    client, _ = lost(stream(event(1), event(2)), stream(event(1), event(2), event(3, "task.completed")))

    assert numbers(client.stream_events("t")) == [1, 2, 3]


def test_a_gap_is_asked_for_again(lost):
    client, server = lost(stream(event(1), event(3)), stream(event(2), event(3), event(4, "task.completed")))

    assert numbers(client.stream_events("t")) == [1, 2, 3, 4]
    assert server.requests[1].headers["last-event-id"] == "1"


def test_a_gap_that_the_server_insists_on_is_taken(lost):
    client, _ = lost(stream(event(7), event(8, "task.completed")))

    assert numbers(client.stream_events("t")) == [7, 8]


def test_nothing_is_left_of_a_task_that_ended(lost):
    client, server = lost(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    assert list(client.stream_events("t", after=9)) == []
    assert server.requests[0].headers["last-event-id"] == "9"


def test_a_connection_that_fell_silent_is_replaced(lost, monkeypatch):
    monkeypatch.setattr(streams, "SILENCE_SECONDS", 0.3)

    def falls_silent(connection, request):
        connection.sendall(STREAM_HEAD + chunk(event(1)))
        hang(connection, request)

    client, _ = lost(falls_silent, stream(event(2, "task.completed")), timeout=0.2)

    assert numbers(client.stream_events("t")) == [1, 2]


def test_heartbeats_keep_it_waiting(lost, monkeypatch):
    monkeypatch.setattr(streams, "SILENCE_SECONDS", 0.5)

    def slow(connection, request):
        connection.sendall(STREAM_HEAD + chunk(event(1)))
        for _ in range(4):
            threading.Event().wait(0.25)
            connection.sendall(chunk(b": alive\n\n"))
        connection.sendall(chunk(event(2, "task.completed")))

    client, server = lost(slow, timeout=0.2)

    assert numbers(client.stream_events("t")) == [1, 2]
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [502, 503, 429])
def test_a_server_that_is_away_for_a_while_is_waited_for(lost, code):
    heard = []
    away = problem(
        code, {502: "unreachable", 503: "not_ready", 429: "too_many_requests"}[code], retry_after=3
    )
    client, _ = lost(stream(event(1), ends=False), away, away, stream(event(2, "task.completed")))

    assert numbers(client.stream_events("t", on_cut=heard.append)) == [1, 2]
    assert len(heard) == 3
    assert client.pauses[1:] == [3, 3]


def test_patience_ends(lost):
    client, _ = lost(lambda *_: None, patience=0)

    with pytest.raises(errors.Unreachable):
        list(client.stream_events("t"))


def test_a_task_that_does_not_exist_is_told_at_once(lost):
    hint = errors.TaskNotFound.default_hint
    client, server = lost(problem(404, "not_found", hint=hint))

    with pytest.raises(errors.TaskNotFound):
        list(client.stream_events("t"))

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "odd",
    [
        answer(200, b"<html>", "text/html"),
        stream(b"data: hello\n\n"),
        stream(b'data: {"type": "log"}\n\n'),
        stream(b"data: [1]\n\n"),
    ],
    ids=["page", "no JSON", "no number", "no object"],
)
def test_what_is_no_stream_of_gateway_is_told(lost, odd):
    client, _ = lost(odd)

    with pytest.raises(errors.Unreachable, match="does not stream like Gateway"):
        list(client.stream_events("t"))


def test_events_of_an_old_proxy_without_chunks_come_without_delay(lost):
    arrived = threading.Event()

    def unchunked(connection, request):
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + event(1))
        assert arrived.wait(5)
        connection.sendall(event(2, "task.completed"))

    client, _ = lost(unchunked)
    events = client.stream_events("t")

    assert next(events)["seq"] == 1
    arrived.set()
    assert numbers(events) == [2]


def test_closing_lets_go_of_the_connection(lost):
    client, _ = lost(stream(event(1), event(2), ends=False))

    with client.stream_events("t") as events:
        next(events)

    assert list(events) == []
    assert events.last_seq == 1


@given(st.binary(max_size=30), st.lists(st.integers(0, 400), max_size=12))
def test_where_the_pieces_end_makes_no_difference(noise, ends):
    comment = b": " + noise.replace(b"\n", b"").replace(b"\r", b"") + b"\n\n"
    whole = (
        b"retry: 2000\n\n"
        + event(1)
        + comment
        + event(2, message="行").replace(b"\n", b"\r\n")
        + b"data: half"
    )
    borders = sorted({min(end, len(whole)) for end in ends})
    pieces = [whole[a:b] for a, b in zip([0, *borders], [*borders, len(whole)], strict=True)]

    first, heartbeat, second = messages_in(iter(pieces))

    assert (first + "\n\n").encode() in event(1)
    assert heartbeat == HEARTBEAT
    assert '"seq": 2' in second


# --- against a server that runs ----------------------------------------------------------------------------


@pytest.mark.engine
@pytest.mark.slow
def test_ten_thousand_events_through_ten_cuts_and_two_restarts(running, client):
    trace_id = client.create_trace("streams", "talks")
    task_id = client.submit_task(trace_id, "talk", input={"count": 10_000, "rate": 1_000})
    chance = random.Random()  # noqa: S311 - chance is the point
    proxy = CuttingProxy(running.port, [chance.randint(2_000, 150_000) for _ in range(10)])
    cuts = []

    seen = []
    with GatewayClient(proxy.url, running.api_key) as through:
        for event in through.stream_events(task_id, on_cut=cuts.append):
            seen.append(event)
            if len(seen) in (2_000, 6_000):
                running.kill_web()
    proxy.close()

    assert numbers(seen) == list(range(1, len(seen) + 1))
    assert sum(one["type"] == "log" for one in seen) == 10_000
    assert seen[-1]["type"] == "task.completed"
    assert proxy.cuts == 10
    assert len(cuts) >= 10
    assert seen == list(client.stream_events(task_id)), "a finished task replays the same"
    assert list(client.stream_events(task_id, after=len(seen))) == []


@pytest.mark.engine
def test_waiting_survives_a_restart(running, client):
    trace_id = client.create_trace("streams", "sleeps")
    task_id = client.submit_task(trace_id, "sleep", input={"seconds": 4})
    threading.Timer(1, running.kill_web).start()

    assert client.wait(task_id, timeout=60)["status"] == "completed"


@pytest.mark.engine
def test_waiting_ends_with_its_time(client):
    trace_id = client.create_trace("streams", "sleeps")
    task_id = client.submit_task(trace_id, "sleep", input={"seconds": 60})

    assert client.wait(task_id, timeout=0.5)["status"] in ("pending", "running")
    assert client.cancel_task(task_id, wait=20)["status"] == "cancelled"
    assert client.wait(task_id)["status"] == "cancelled"
