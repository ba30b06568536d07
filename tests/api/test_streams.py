"""The event stream and the long polls of a task, on a real server."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
import requests

from channels_app import live
from channels_app.hub import Entry, Feed, Head
from tests.api.site import PATIENCE_SECONDS

pytestmark = pytest.mark.engine

ENDS = {"task.completed", "task.failed", "task.cancelled"}


def drained(stream):
    """All events of a stream to its end."""
    with stream:
        assert stream.answer.status_code == 200, stream.answer.text
        found = list(stream.events())
    assert stream.ended
    return found


def test_a_stream_has_every_event_once_in_order_and_ends_after_the_final_one(site):
    task_id = site.submit("chatty", {"count": 60, "burst": 5})

    events = drained(site.stream(task_id))

    assert [one["seq"] for one in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "task.submitted"
    assert [one["type"] for one in events if one["type"] in ENDS] == ["task.completed"]
    assert events[-1]["type"] == "task.completed"
    assert events == site.events(task_id)


def test_a_stream_begins_with_its_retry_time_and_is_not_buffered_on_the_way(site):
    task_id = site.run()["id"]
    stream = site.stream(task_id)
    drained(stream)

    assert stream.lines[0] == "retry: 2000"
    headers = stream.answer.headers
    assert headers["Content-Type"].startswith("text/event-stream")
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Request-Id"]
    assert "Content-Encoding" not in headers


@pytest.mark.parametrize("resume", [{"after": 2}, {"last_id": "2"}, {"after": 0, "last_id": "2"}])
def test_a_stream_resumes_behind_the_event_that_was_seen_last(site, resume):
    task = site.run("chatty", {"count": 10})

    events = drained(site.stream(task["id"], **resume))

    assert [one["seq"] for one in events] == list(range(3, task["last_seq"] + 1))


@pytest.mark.parametrize("resume", [{"after": -1}, {"after": 0}, {}, {"last_id": "0"}])
def test_a_stream_from_the_start_has_everything(site, resume):
    task = site.run("chatty", {"count": 3})

    events = drained(site.stream(task["id"], **resume))

    assert [one["seq"] for one in events] == list(range(1, task["last_seq"] + 1))


@pytest.mark.parametrize("beyond", [0, 1, 1000])
def test_nothing_left_of_a_final_task_is_204(site, beyond):
    task = site.run()

    for resume in ({"after": task["last_seq"] + beyond}, {"last_id": str(task["last_seq"] + beyond)}):
        stream = site.stream(task["id"], **resume)
        with stream:
            assert stream.answer.status_code == 204
            assert stream.answer.content == b""


@pytest.mark.parametrize("wrong", ["x", "-2", "1.5", "9" * 30, "²"])
def test_a_cursor_that_is_none_is_422(site, wrong):
    task_id = site.run()["id"]

    answer = site.get(f"/tasks/{task_id}/stream?after={wrong}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "after"
    if wrong != "²":
        answer = site.get(f"/tasks/{task_id}/stream", headers={"Last-Event-ID": wrong})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "Last-Event-ID"


def test_a_stream_of_a_long_log_is_complete(site):
    trace = site.trace()
    task_id = site.inside("long_task", trace_id=trace, events=3000, size=100)

    events = drained(site.stream(task_id))

    assert [one["seq"] for one in events] == list(range(1, 3001))


async def test_a_quiet_stream_carries_heartbeats_without_ids(monkeypatch):
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.01)
    feed = Feed(Head(UUID(int=1), "running", None, 3))
    sent = []

    async def send(message):
        sent.append(message["body"])
        if len(sent) == 3:
            feed.update(Head(UUID(int=1), "completed", None, 4), [Entry(4, "task.completed", b"{}")])

    await live._follow(feed, 3, live.Answer(send, "id"))

    assert sent == [b": still here\n\n"] * 3 + [b"id: 4\nevent: task.completed\ndata: {}\n\n"]


def test_streams_sockets_and_polls_say_the_same_of_a_chatty_task(site):
    task_id = site.submit("chatty", {"count": 400, "burst": 20, "pause": 0.01})

    def by_socket():
        found = []
        with site.socket(f"/ws/tasks/{task_id}") as socket:
            for frame in site.frames(socket):
                if frame["type"] == "events":
                    found += frame["events"]
                    socket.send(f'{{"ack": {found[-1]["seq"]}}}')
        return found

    def by_polls():
        found, after = [], 0
        while True:
            page = site.get(f"/tasks/{task_id}/events?after={after}&wait=5&limit=50").json()
            found += page["items"]
            after = found[-1]["seq"]
            if page["final"] and after == page["last_seq"]:
                return found

    with ThreadPoolExecutor(6) as pool:
        readings = [
            pool.submit(read) for read in (by_socket, by_polls, lambda: drained(site.stream(task_id))) * 2
        ]
        seen = [one.result(PATIENCE_SECONDS * 2) for one in readings]

    assert all(one == seen[0] for one in seen)
    assert seen[0] == site.events(task_id)


def test_a_reader_resumes_across_a_restart_of_the_server_without_a_gap(site):
    gate = site.gate()
    task_id = site.submit("chatty", {"count": 30, "gate": str(gate)})
    seen = []
    stream = site.stream(task_id)
    with stream:
        for event in stream.events():
            seen.append(event)
            if len(seen) == 10:
                break
        site.restart_web()

    gate.touch()
    seen += drained(site.stream(task_id, last_id=str(seen[-1]["seq"])))

    assert seen == site.events(task_id)
    assert seen[-1]["type"] == "task.completed"


def test_a_revoked_key_ends_its_stream(site):
    key = site.inside("key")
    gate = site.gate()
    task_id = site.submit("gated", {"gate": str(gate)})
    answer = site.get(f"/tasks/{task_id}/stream", key=key, stream=True)

    site.inside("revoke", key=key)

    with answer:
        for _ in answer.iter_lines():
            pass  # to its end
    assert site.get(f"/tasks/{task_id}").json()["status"] == "running"
    gate.touch()


def test_readers_that_go_away_leave_nothing_behind(site):
    gate = site.gate()
    task_id = site.submit("gated", {"gate": str(gate)})
    site.until(lambda: site.get(f"/tasks/{task_id}").json()["status"] == "running", "it runs")

    def look(_):
        with site.stream(task_id) as stream:
            next(stream.events())

    def look_often():
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(look, range(60)))
        return site.web.num_fds(), site.web.num_threads()

    look_often()  # every thread has its connection now
    files, threads = look_often()

    site.until(lambda: look_often() <= (files + 4, threads + 1), "no more is open than before")
    gate.touch()
    assert site.final(task_id)["status"] == "completed"
    assert "took too long" not in site.up.text


# --- long polls --------------------------------------------------------------------------------------------


def test_waiting_for_a_task_ends_when_it_is_final(site):
    gate = site.gate()
    task_id = site.submit("gated", {"gate": str(gate)})
    threading.Timer(0.5, gate.touch).start()

    answer = site.get(f"/tasks/{task_id}?wait=60", timeout=60)

    assert answer.status_code == 200
    assert answer.json()["status"] == "completed"
    assert answer.headers["X-Request-Id"]


def test_waiting_for_a_task_ends_after_the_wait(site):
    gate = site.gate()
    task_id = site.submit("gated", {"gate": str(gate)})
    began = time.monotonic()

    answer = site.get(f"/tasks/{task_id}?wait=0.7")

    assert answer.json()["status"] in ("pending", "running")
    assert time.monotonic() - began >= 0.7
    gate.touch()


def test_waiting_for_events_ends_at_the_first_new_one(site):
    gate = site.gate()
    task_id = site.submit("gated", {"gate": str(gate)})
    site.until(lambda: site.get(f"/tasks/{task_id}").json()["last_seq"] == 3, "it said that it waits")
    threading.Timer(0.5, gate.touch).start()

    page = site.get(f"/tasks/{task_id}/events?after=3&wait=30", timeout=60).json()

    assert page["items"][0]["seq"] == 4


def test_waiting_for_events_ends_after_the_wait_with_none(site):
    gate = site.gate()
    task_id = site.submit("gated", {"gate": str(gate)})
    site.until(lambda: site.get(f"/tasks/{task_id}").json()["last_seq"] == 3, "it said that it waits")
    began = time.monotonic()

    page = site.get(f"/tasks/{task_id}/events?after=3&wait=0.7").json()

    assert page == {"items": [], "last_seq": 3, "final": False}
    assert time.monotonic() - began >= 0.7
    gate.touch()


def test_waiting_for_events_of_a_final_task_ends_at_once(site):
    task = site.run()

    page = site.get(f"/tasks/{task['id']}/events?after={task['last_seq']}&wait=30", timeout=25).json()

    assert page == {"items": [], "last_seq": task["last_seq"], "final": True}


@pytest.mark.parametrize("wait", ["-1", "61", "x", "nan", "inf", "", "%00"])
def test_a_wait_that_is_none_is_422(site, wait):
    task_id = site.run()["id"]

    for path in (f"/tasks/{task_id}?wait={wait}", f"/tasks/{task_id}/events?wait={wait}"):
        answer = site.get(path)
        assert answer.status_code == 422
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["errors"][0]["field"] == "wait"
    assert site.get(f"/tasks/{task_id}/events?wait=31").status_code == 422


def test_unknown_parameters_of_what_waits_are_422(site):
    task_id = site.run()["id"]

    for path in ("?wait=1&x=1", "/events?wait=1&x=1", "/stream?x=1", "/stream?limit=1"):
        answer = site.get(f"/tasks/{task_id}{path}")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] in ("x", "limit")


@pytest.mark.parametrize("path", ["?wait=1", "/events?wait=1", "/stream"])
def test_what_waits_asks_who_is_there(site, path):
    task_id = site.run()["id"]
    without_read = site.inside("key", scopes=["submit"])
    elsewhere = site.inside("key", workspaces=["elsewhere"])

    nobody = site.get(f"/tasks/{task_id}{path}", key=None)
    assert nobody.status_code == 401
    assert nobody.headers["WWW-Authenticate"] == "Bearer"
    assert nobody.json()["request_id"] == nobody.headers["X-Request-Id"]
    assert site.get(f"/tasks/{task_id}{path}", key=without_read).json()["code"] == "scope_missing"
    assert site.get(f"/tasks/{task_id}{path}", key=elsewhere).status_code == 404
    assert site.get(f"/tasks/nonsense{path}").status_code == 404


def test_eight_that_wait_for_a_cancellation_do_not_stop_everyone_else(site):
    gate = site.gate()
    task_ids = [site.submit("stubborn", {"gate": str(gate)}) for _ in range(9)]
    for one in task_ids[:8]:
        site.until(lambda one=one: site.get(f"/tasks/{one}").json()["last_seq"] >= 3, "it is deaf")

    with ThreadPoolExecutor(9) as pool:
        began = time.monotonic()
        waiting = [pool.submit(site.post, f"/tasks/{one}/cancel", {"wait": 20}) for one in task_ids]
        answered_meanwhile = 0
        while not all(one.done() for one in waiting):
            requests.get(f"{site.base}/healthz", timeout=PATIENCE_SECONDS)
            answered_meanwhile += 1
        assert time.monotonic() - began > 1, "nothing waited"

    assert answered_meanwhile > 10
    assert {one.result().json()["status"] for one in waiting} == {"cancelled"}
