"""The sockets: what they carry, who may open them, and what a client that does not keep up costs."""

import asyncio
import base64
import contextlib
import json
import os
import signal
import socket as sockets
import threading

import pytest
import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.api.site import ACK_SECONDS, PATIENCE_SECONDS

pytestmark = pytest.mark.engine

WINDOW = 256


def followed(site, task_id, *, after=0, **options):
    """All events and states of a task's socket until it is closed, acknowledged as they come; its code."""
    events, states = [], []
    with site.socket(f"/ws/tasks/{task_id}?after={after}", **options) as socket:
        for frame in site.frames(socket):
            if frame["type"] == "events":
                events += frame["events"]
                socket.send(json.dumps({"ack": events[-1]["seq"]}))
            else:
                states.append(frame)
    return events, states, socket.close_code


def refusal(site, path, **options):
    """The code with which a socket is closed again at once."""
    with site.socket(path, **options) as socket:
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=PATIENCE_SECONDS)
        return socket.close_code


def refused(site, path, **options):
    """The HTTP status with which a handshake is refused."""
    with pytest.raises(InvalidStatus) as answer, site.socket(path, **options):
        pass
    return answer.value.response.status_code


def test_a_socket_carries_every_event_and_the_states_and_is_closed_after_the_last_ack(site):
    gate = site.gate()
    task_id = site.submit("gated", {"gate": str(gate)})
    threading.Timer(0.5, gate.touch).start()

    events, states, code = followed(site, task_id)

    assert events == site.events(task_id)
    assert states[-1] == {
        "type": "state", "task_id": task_id, "status": "completed", "reason": None,
        "last_seq": events[-1]["seq"],
    }  # fmt: skip
    assert len({state["last_seq"] for state in states}) == len(states)
    assert code == 1000


@pytest.mark.parametrize(
    ("after", "first"), [(2, 3), (0, 1), (-1, 1), ("x", 1), ("", 1), ("9" * 50, 1), ("%C2%B2", 1)]
)
def test_a_socket_resumes_behind_the_event_that_was_seen_last(site, after, first):
    task = site.run("chatty", {"count": 5})

    events, _, code = followed(site, task["id"], after=after)

    assert [one["seq"] for one in events] == list(range(first, task["last_seq"] + 1))
    assert code == 1000


def test_a_client_may_ask_for_other_events_on_an_open_socket(site):
    task = site.run("chatty", {"count": 5})

    with site.socket(f"/ws/tasks/{task['id']}") as socket:
        first = json.loads(socket.recv(timeout=PATIENCE_SECONDS))
        socket.send('{"after": 0}')
        frames = [first, *site.frames_until(socket, lambda frame: frame["type"] == "events")]
        assert frames[-1]["events"] == first["events"]


def test_a_final_task_seen_to_its_end_is_closed_at_once(site):
    task = site.run()

    events, states, code = followed(site, task["id"], after=task["last_seq"])

    assert (events, [state["status"] for state in states], code) == ([], ["completed"], 1000)


def test_no_more_than_the_window_goes_out_before_an_ack(site):
    task_id = site.inside("long_task", trace_id=site.trace(), events=1000, size=10)

    with site.socket(f"/ws/tasks/{task_id}") as socket:
        seen = 0
        while seen < WINDOW:
            seen += len(json.loads(socket.recv(timeout=PATIENCE_SECONDS))["events"])
        assert seen == WINDOW
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.5)
        socket.send('{"ack": 100}')
        more = json.loads(socket.recv(timeout=PATIENCE_SECONDS))["events"]
        assert more[0]["seq"] == WINDOW + 1
        assert len(more) <= 100


def test_large_events_go_out_as_their_bytes_allow(site):
    """256 events of 60 kB would be 15 MB in the buffers of a client that does not read."""
    task_id = site.inside("long_task", trace_id=site.trace(), events=200, size=60_000)

    with site.socket(f"/ws/tasks/{task_id}") as socket:
        seen = []
        with contextlib.suppress(TimeoutError):
            while frame := socket.recv(timeout=1):
                assert len(frame) < 2**20
                seen += json.loads(frame)["events"]
        assert len(seen) < 180
        socket.send(json.dumps({"ack": seen[-1]["seq"]}))
        seen += json.loads(socket.recv(timeout=PATIENCE_SECONDS))["events"]
    events, _, code = followed(site, task_id)
    assert [one["seq"] for one in events] == list(range(1, 201))
    assert code == 1000


def test_a_client_that_acknowledges_nothing_is_closed(site):
    task_id = site.inside("long_task", trace_id=site.trace(), events=1000, size=10)

    with site.socket(f"/ws/tasks/{task_id}") as socket:
        for _ in site.frames(socket):
            pass
        assert socket.close_code == 4408


def test_clients_that_never_read_cost_little_and_are_closed(site):
    task_id = site.inside("long_task", trace_id=site.trace(), events=300, size=60_000)
    followed(site, task_id)  # what only the first one costs
    before = peak = site.memory()

    with contextlib.ExitStack() as stack:
        idle = [
            stack.enter_context(open_raw(site, f"/ws/tasks/{task_id}", receive_buffer=4096)) for _ in range(4)
        ]
        for _ in range(int(ACK_SECONDS * 10)):
            peak = max(peak, site.memory())
            threading.Event().wait(0.1)
        assert peak - before < 10 * len(idle)
        for one in idle:
            site.until(lambda one=one: is_closed(one), "the server hangs up")


@pytest.mark.parametrize(
    "frame",
    [
        "{}",
        "[]",
        "nonsense",
        "[" * 4000,
        '{"ack": "x"}',
        '{"ack": 99999999}',
        '{"ack": -1}',
        '{"after": -5}',
        '{"after": 1e999}',
        '{"after": [1]}',
        '{"ack": NaN}',
        "\x00",
        "{" * 100_000,
        b"\xff\x00",
        b"{}",
    ],
)
def test_a_frame_that_is_none_changes_nothing(site, frame):
    gate = site.gate()
    task_id = site.submit("gated", {"gate": str(gate)})
    with site.socket(f"/ws/tasks/{task_id}") as socket:
        json.loads(socket.recv(timeout=PATIENCE_SECONDS))
        socket.send(frame)
        gate.touch()
        last = 0
        for told in site.frames(socket):
            if told["type"] == "events":
                last = told["events"][-1]["seq"]
                socket.send(json.dumps({"ack": last}))
        assert socket.close_code == 1000
    assert last == site.final(task_id)["last_seq"]


# --- traces and workspaces ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["traces", "workspaces"])
def test_the_socket_of_a_group_tells_where_its_tasks_stand(site, kind):
    trace = site.trace("gated", workspace=f"group-{kind}")
    gate = site.gate()
    first = site.submit("gated", {"gate": str(gate)}, trace_id=trace)
    other = site.submit("gated", {"gate": str(gate)})
    key = trace if kind == "traces" else f"group-{kind}"

    with site.socket(f"/ws/{kind}/{key}") as socket:
        frames = site.frames_until(socket, lambda frame: frame["status"] == "running")
        gate.touch()
        second = site.submit("gated", {"gate": str(gate)}, trace_id=trace)
        frames += site.frames_until(
            socket, lambda frame: (frame["task_id"], frame["status"]) == (second, "completed")
        )

    assert {frame["type"] for frame in frames} == {"state"}
    assert {frame["task_id"] for frame in frames} == {first, second}
    assert other not in {frame["task_id"] for frame in frames}
    assert [frame["status"] for frame in frames if frame["task_id"] == first][-1] == "completed"


def test_the_socket_of_a_workspace_tells_of_tasks_however_short(site):
    site.post("/workspaces", {"id": "short"})
    with site.socket("/ws/workspaces/short") as socket:
        traces = [site.trace(workspace="short") for _ in range(5)]
        task_ids = [site.submit(trace_id=trace) for trace in traces for _ in range(6)]
        done = set()
        while done != set(task_ids):
            frame = json.loads(socket.recv(timeout=PATIENCE_SECONDS))
            if frame["status"] == "completed":
                assert frame["task_id"] not in done, "told twice"
                done.add(frame["task_id"])


# --- who may -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def known(site):
    """A path of each kind, to something that exists."""
    task = site.run(workspace="tests")
    return [f"/ws/tasks/{task['id']}", f"/ws/traces/{task['trace_id']}", "/ws/workspaces/tests"]


def test_without_the_right_a_socket_is_accepted_and_closed_with_the_reason(site, known):
    submit_only = site.inside("key", scopes=["submit"])
    elsewhere = site.inside("key", workspaces=["elsewhere"])
    origin = f"http://127.0.0.1:{site.up.port}"

    for path in known:
        assert refusal(site, path, key=None, origin=origin) == 4401
        assert refusal(site, path, key="gk_aaaaaaaa_wrong") == 4401
        assert refusal(site, path, key=submit_only) == 4403
        assert refusal(site, path, key=elsewhere) == 4404


@pytest.mark.parametrize(
    "path",
    [
        "/ws/tasks/nonsense",
        "/ws/tasks/01a21202-8f2c-7000-8000-000000000000",
        "/ws/traces/nonsense",
        "/ws/workspaces/unknown",
        "/ws/workspaces/..",
        "/ws/nonsense",
        "/ws",
        "/",
        "/api/v1/tasks",
        "/ws/tasks/%00",
        "/ws/workspaces/%00",
        "/ws/tasks/x/y",
    ],
)
def test_what_does_not_exist_is_4404(site, path):
    assert refusal(site, path) == 4404


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://127.0.0.1.evil.example",
        "null",
        "file://",
        "http://127.0.0.1:1",
    ],
)
def test_a_foreign_origin_is_refused_at_the_handshake(site, known, origin):
    for options in (
        {"key": None},
        {},
        {"key": None, "headers": {"Cookie": f"sessionid={site.inside('session')}"}},
    ):
        assert refused(site, known[0], origin=origin, **options) == 403


@pytest.mark.parametrize("origin", ["http://[", "x", "http://"])
def test_an_origin_that_is_none_is_refused_at_the_handshake(site, known, origin):
    assert refused(site, known[0], origin=origin) in (400, 403)


def test_without_origin_and_key_the_handshake_is_refused(site, known):
    for path in [*known, "/ws/nonsense"]:
        assert refused(site, path, key=None) == 403


def test_a_signed_in_browser_may(site):
    task = site.run()
    cookie = f"sessionid={site.inside('session')}"
    origin = f"http://127.0.0.1:{site.up.port}"

    events, _, code = followed(site, task["id"], key=None, origin=origin, headers={"Cookie": cookie})

    assert len(events) == task["last_seq"]
    assert code == 1000


def test_who_has_a_share_link_may_see_that_task_and_no_other(site):
    task, other = site.run(), site.run()
    url = site.post(f"/tasks/{task['id']}/share").json()["url"]
    query = url.partition("?")[2]
    origin = f"http://127.0.0.1:{site.up.port}"

    with site.socket(f"/ws/tasks/{task['id']}?{query}", key=None, origin=origin) as socket:
        assert json.loads(socket.recv(timeout=PATIENCE_SECONDS))["events"][0]["seq"] == 1
    assert refusal(site, f"/ws/tasks/{other['id']}?{query}", key=None, origin=origin) == 4401
    assert refusal(site, f"/ws/tasks/{task['id']}?{query}x", key=None, origin=origin) == 4401


def test_a_revoked_key_closes_its_sockets(site):
    key = site.inside("key")
    gate = site.gate()
    task_id = site.submit("gated", {"gate": str(gate)})
    task = site.get(f"/tasks/{task_id}").json()
    paths = [f"/ws/tasks/{task_id}", f"/ws/traces/{task['trace_id']}", "/ws/workspaces/tests"]
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(site.socket(path, key=key)) for path in paths]
        for socket in opened:
            socket.recv(timeout=PATIENCE_SECONDS)

        site.inside("revoke", key=key)

        for socket in opened:
            for frame in site.frames(socket):
                if frame["type"] == "events":
                    socket.send(json.dumps({"ack": frame["events"][-1]["seq"]}))
            assert socket.close_code == 4401
    gate.touch()


# --- many --------------------------------------------------------------------------------------------------


async def test_many_sockets_on_one_task_are_served_by_one_process(site):
    count = int(os.environ.get("GATEWAY_TEST_SOCKETS", "300"))
    gate = site.gate()
    task_id = await asyncio.to_thread(site.submit, "chatty", {"count": 40, "burst": 4, "gate": str(gate)})
    address = f"ws://127.0.0.1:{site.up.port}/ws/tasks/{task_id}"
    headers = {"Authorization": f"Bearer {site.key}"}
    gentle = asyncio.Semaphore(20)
    opened = 0

    async def follow():
        nonlocal opened
        async with gentle:
            socket = await websockets.connect(
                address, additional_headers=headers, open_timeout=60, ping_interval=None, compression=None
            )
        opened += 1
        if opened == count:
            gate.touch()
        seqs = []
        async with socket:
            async for message in socket:
                frame = json.loads(message)
                if frame["type"] == "events":
                    seqs += [one["seq"] for one in frame["events"]]
                    await socket.send(json.dumps({"ack": seqs[-1]}))
        return seqs, socket.close_code

    async with asyncio.timeout(90):
        seen = await asyncio.gather(*[follow() for _ in range(count)])

    last = (await asyncio.to_thread(site.final, task_id))["last_seq"]
    assert {code for _, code in seen} == {1000}
    assert all(seqs == list(range(1, last + 1)) for seqs, _ in seen)


def test_a_server_that_ends_in_order_says_come_back(site):
    gate = site.gate()
    task_id = site.submit("gated", {"gate": str(gate)})
    with site.socket(f"/ws/tasks/{task_id}") as socket, site.socket("/ws/workspaces/tests") as other:
        last = json.loads(socket.recv(timeout=PATIENCE_SECONDS))["events"][-1]["seq"]
        site.restart_web(signal.SIGTERM)
        for one in (socket, other):
            for _ in site.frames(one):
                pass
            assert one.close_code == 1012

    gate.touch()
    events, _, code = followed(site, task_id, after=last)
    assert [one["seq"] for one in events] == list(range(last + 1, site.final(task_id)["last_seq"] + 1))
    assert code == 1000


def test_sockets_that_are_cut_leave_nothing_behind(site):
    gate = site.gate()
    task_id = site.submit("gated", {"gate": str(gate)})

    def cut_often():
        for _ in range(30):
            with open_raw(site, f"/ws/tasks/{task_id}"):
                pass
        return site.web.num_fds(), site.web.num_threads()

    cut_often()
    files, threads = cut_often()

    site.until(lambda: cut_often() <= (files + 4, threads + 1), "no more is open than before")
    gate.touch()
    assert followed(site, task_id)[2] == 1000


def open_raw(site, path, receive_buffer=None):
    """A connection on which the handshake is done, and nothing is read after it."""
    connection = sockets.socket(sockets.AF_INET, sockets.SOCK_STREAM)
    if receive_buffer:
        connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, receive_buffer)
    connection.settimeout(PATIENCE_SECONDS)
    connection.connect(("127.0.0.1", site.up.port))
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    }
    connection.sendall(site.request_bytes("GET", path, upgrade))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    assert head.startswith(b"HTTP/1.1 101"), head
    return connection


def is_closed(connection):
    """Whether the server hung up; reads on to find out."""
    try:
        connection.settimeout(0.1)
        while data := connection.recv(65536):
            del data
        return True
    except TimeoutError:
        return False
    except OSError:
        return True
