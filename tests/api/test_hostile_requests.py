"""Requests that no well-behaved client sends, byte by byte on a real server: refused, and never paid for."""

import contextlib
import gzip
import json
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.site import PATIENCE_SECONDS, read_answer

pytestmark = pytest.mark.engine

MB = 2**20
FUZZ_SECONDS = 8
PATH = "/api/v1/tasks"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def flat(site):
    """The web process's memory must be where it was, give or take what an allocator keeps."""
    for _ in range(20):
        site.get("/tasks")
    before = site.memory()
    yield
    site.until(lambda: site.memory() - before < 25, f"its memory is flat again; before: {before:.0f} MiB")


def in_pieces(site, head, piece, count):
    """Send ``piece`` ``count`` times behind ``head`` and read the answer, unless the server hangs up."""
    with socket.create_connection(("127.0.0.1", site.up.port), timeout=PATIENCE_SECONDS) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(head)
            for _ in range(count):
                connection.sendall(piece)
            if b"chunked" in head:
                connection.sendall(b"0\r\n\r\n")
        return read_answer(connection)


def status_of(site, request, timeout=5.0):
    """The status of the answer; 0 if the server hangs up, or waits for what does not come."""
    try:
        return site.raw(request, timeout=timeout).status
    except (AssertionError, ConnectionResetError, TimeoutError):
        return 0


def is_up(site):
    return site.get("/whoami").status_code == 200


def test_100_megabytes_with_their_length_are_413(site, flat):
    head = site.request_bytes("POST", PATH, {**JSON, "Content-Length": str(100 * MB)})

    answer = in_pieces(site, head, b" " * MB, 100)

    assert answer.status == 413
    assert json.loads(answer.body)["code"] == "quota_exceeded"
    assert answer.headers["content-type"] == "application/problem+json"


def test_100_megabytes_in_chunks_are_413(site, flat):
    head = site.request_bytes("POST", PATH, {**JSON, "Transfer-Encoding": "chunked"})

    answer = in_pieces(site, head, b"100000\r\n" + b" " * MB + b"\r\n", 100)

    assert answer.status == 413


def test_chunks_without_an_end_are_cut(site, flat):
    head = site.request_bytes("POST", PATH, {**JSON, "Transfer-Encoding": "chunked"})

    with socket.create_connection(("127.0.0.1", site.up.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(head)
        chunk = b"100000\r\n" + b" " * MB + b"\r\n"
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 2000:
                connection.sendall(chunk)
                sent += 1
    assert sent < 2000, "it would have read on for ever"
    assert is_up(site)


def test_a_chunked_body_is_read_like_any_other(site):
    body = json.dumps({"trace_id": site.trace(), "description": "in chunks"}).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"
    head = site.request_bytes(
        "POST", PATH, {**JSON, "Transfer-Encoding": "chunked", "Idempotency-Key": "chunked"}
    )

    answers = [site.raw(head + chunks) for _ in range(2)]

    assert [one.status for one in answers] == [201, 201]
    assert json.loads(answers[0].body)["description"] == "in chunks"
    assert json.loads(answers[0].body) == json.loads(answers[1].body)


def test_a_compressed_body_is_refused_unread(site, flat):
    bomb = gzip.compress(b" " * 50 * MB)
    for encoding in ("gzip", "deflate", "br", "gzip, gzip", "nonsense"):
        answer = site.raw(site.request_bytes("POST", PATH, {**JSON, "Content-Encoding": encoding}, bomb))
        assert answer.status in (400, 415)


@pytest.mark.parametrize("count", [150, 5_000, 50_000])
def test_thousands_of_headers_are_refused(site, flat, count):
    headers = {f"X-{number}": "x" for number in range(count)}

    with contextlib.suppress(ConnectionResetError):
        assert site.raw(site.request_bytes("GET", PATH, headers)).status in (400, 413, 414, 431)
    assert is_up(site)


@pytest.mark.parametrize("size", [20_000, 5 * MB])
def test_a_huge_header_and_a_huge_address_are_refused(site, flat, size):
    for request in (
        site.request_bytes("GET", PATH, {"X-Large": "x" * size}),
        site.request_bytes("GET", f"{PATH}?q={'x' * size}"),
        site.request_bytes("GET", f"{PATH}/{'x' * size}"),
        site.request_bytes("G" * size, PATH),
        site.request_bytes("GET", PATH, {"Authorization": "Bearer " + "x" * size}),
    ):
        with contextlib.suppress(ConnectionResetError, AssertionError):
            assert 400 <= site.raw(request).status < 500
    assert is_up(site)


@pytest.mark.parametrize("line", [
    b"GET", b"", b"GET /api/v1/tasks", b"GET  /api/v1/tasks HTTP/1.1", b"GET /api/v1/tasks HTTP/9.9",
    b"\x16\x03\x01\x02\x00\x01\x00", b"GET \xff\xfe HTTP/1.1",
    b"GET /api/v1/tasks HTTP/1.1 extra", b"PRI * HTTP/2.0", b"GET /\x00 HTTP/1.1", b"GET\x00 / HTTP/1.1",
    b"CONNECT 127.0.0.1:22 HTTP/1.1", b"OPTIONS * HTTP/1.1",
])  # fmt: skip
def test_a_first_line_that_is_none_is_refused(site, line):
    key = f"Authorization: Bearer {site.key}".encode()
    request = line + b"\r\nHost: 127.0.0.1\r\n" + key + b"\r\nConnection: close\r\n\r\n"
    assert status_of(site, request) < 500
    assert is_up(site)


@pytest.mark.parametrize("headers", [
    {"Content-Length": "-1"}, {"Content-Length": "x"}, {"Content-Length": "1_0"},
    {"Content-Length": "9" * 30}, {"Content-Length": ""},
    {"Content-Length": "5", "Transfer-Encoding": "chunked"}, {"Transfer-Encoding": "nonsense"},
    {"Transfer-Encoding": "chunked, chunked"},
    {"Host": "evil.example"}, {"Host": ""}, {"Host": "a b"}, {"Host": "127.0.0.1:x"}, {"Cookie": "\x01"},
    {"Cookie": "sessionid=" + "x" * 5000}, {"Cookie": "a=b;;;=;\xff"},
    {"X-Forwarded-Host": "evil.example"}, {"X-Forwarded-For": "x"}, {"Daphne-Root-Path": "/x"},
    {"Expect": "100-continue"}, {"Upgrade": "h2c"}, {"Accept": "\xff"},
    {"Accept": "application/json; q=x"}, {"Accept": "*/*; version=" + "x" * 3000},
    {"Accept-Language": "x" * 5000}, {"Content-Type": "application/json; charset=nonsense"},
    {"Content-Type": "\xff"}, {"Range": "bytes=0-"}, {"If-Modified-Since": "x"}, {"Content_Length": "5"},
    {"Bad Header": "x"}, {"": "x"},
])  # fmt: skip
def test_a_header_that_is_strange_is_no_error_of_ours(site, headers):
    for path in (PATH, "/healthz", "/api/v1/tasks/x/stream", "/api/v1/tasks/x?wait=1"):
        assert status_of(site, site.request_bytes("GET", path, headers), timeout=1) < 500, path
    assert is_up(site)


@pytest.mark.parametrize("target", [
    "http://127.0.0.1/api/v1/tasks", "http://evil.example/api/v1/tasks", "//api/v1/tasks",
    "/api//v1/tasks", "/api/v1/./tasks", "/api/v1/x/../tasks", "/api/v1/tasks/",
    "/api/v1/tasks;x=y", "/api/v1/tasks%3Fx", "/%61pi/v1/tasks", "/api/v1/tasks#x", "*", "x", "/%", "/%zz",
    "/%ff%fe", "/%00", "/api/v1/%00", "/" * 3000, "/api/v1/tasks?%",
    "/api/v1/tasks?%ff=%ff", "/api/v1/tasks?a=1;b=2", "/api/v1/tasks?=", "/api/v1/tasks?&&&",
    "/api/v1/tasks?" + "&" * 5000, "/api/v1/tasks??",
])  # fmt: skip
def test_a_target_that_is_strange_is_no_error_of_ours(site, target):
    for method in ("GET", "HEAD", "OPTIONS", "POST", "TRACE", "CONNECT", "NONSENSE"):
        answer = site.raw(site.request_bytes(method, target), timeout=10) if method != "HEAD" else None
        assert answer is None or answer.status < 500, (method, target, answer)
    assert is_up(site)


def test_a_request_that_never_ends_occupies_no_thread(site):
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", site.up.port)))
            connection.sendall(site.request_bytes("POST", PATH, {"Content-Length": "1000"})[:-2])
        for _ in range(30):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", site.up.port)))
            connection.sendall(site.request_bytes("POST", PATH, {"Content-Length": "1000"}) + b"{")
        assert is_up(site)


def test_a_reader_who_does_not_read_holds_little_of_a_download(site):
    site.post("/workspaces", {"id": "slow"})
    site.ask("PUT", "/workspaces/slow/files/large.bin", data=b"x" * 50 * MB)
    before = site.memory()

    with contextlib.ExitStack() as stack:
        for _ in range(4):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", site.up.port))
            connection.sendall(site.request_bytes("GET", "/api/v1/workspaces/slow/files/large.bin"))
        threading.Event().wait(1.5)
        assert site.memory() - before < 40
        assert is_up(site)


def test_a_reader_who_does_not_read_holds_little_of_a_stream(site):
    task_id = site.inside("long_task", trace_id=site.trace(), events=500, size=60_000)  # 30 MB
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(lambda _: site.stream(task_id).answer.content, range(4)))) == 4
    before = site.memory()

    with contextlib.ExitStack() as stack:
        for _ in range(4):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", site.up.port))
            connection.sendall(site.request_bytes("GET", f"/api/v1/tasks/{task_id}/stream"))
        threading.Event().wait(1.5)
        assert site.memory() - before < 40
        assert is_up(site)


# --- anything at all ---------------------------------------------------------------------------------------

SCRAPS = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**70), 0.5, 1e308, "", " ", "x", "é", "分析",
    "\ud800", "\x00", "%", "'", '"', "\\", "../..", "a" * 300, "null", "0", "-1",
    "true", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01",
    "01a21202-8f2c-7000-8000-000000000000", "a:b", ":", [], [[]], {}, {"": ""},
    {"a": {"b": []}}, ["x", 1, None], "status", "completed", "cancel", "enqueue", "*", "W/\"x\"",
]  # fmt: skip


class Monkey:
    """Makes requests that the OpenAPI document half describes."""

    def __init__(self, site, seed):
        self.dice = random.Random(seed)  # noqa: S311 - which tries are made, not who gets in
        self.document = site.get("/api/schema").json()
        self.key = site.inside("key", scopes=["read", "submit", "work", "admin"], workspaces=["jungle"])
        trace = site.trace(workspace="jungle")
        self.known = [
            site.run(trace_id=trace)["id"], trace, "jungle", "echo", "a.txt", "x",
            "01a21202-8f2c-7000-8000-000000000000",
        ]  # fmt: skip
        self.operations = [
            (method, path, told)
            for path, methods in self.document["paths"].items()
            for method, told in methods.items()
            if not path.endswith(("/pause", "/resume"))
        ]

    def scrap(self):
        return self.dice.choice(SCRAPS)

    def value(self, name):
        """Mostly something that fits the name, often not."""
        fitting = {
            "trace_id": self.known[1],
            "workspace_id": "tests",
            "agent_type": "echo",
            "description": "x",
        }
        return fitting[name] if name in fitting and self.dice.random() < 0.7 else self.scrap()

    def body_of(self, told):
        schema = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        required = schema.get("required", ())
        names = [one for one in schema.get("properties", {}) if one in required or self.dice.random() < 0.4]
        body = {name: self.value(name) for name in names}
        if self.dice.random() < 0.2:
            body[str(self.scrap())] = self.scrap()
        return self.scrap() if self.dice.random() < 0.05 else body

    def request(self):
        """Method, path, query, headers and body of one try."""
        method, path, told = self.dice.choice(self.operations)
        for name in [one[1:-1] for one in path.split("/") if one.startswith("{")]:
            fitting = self.dice.choice(self.known) if self.dice.random() < 0.8 else str(self.scrap())
            path = path.replace(f"{{{name}}}", _quoted(fitting) or "x")
        query = [
            (one["name"], str(self.scrap()))
            for one in told.get("parameters", ())
            if one["in"] == "query" and one["name"] != "wait" and self.dice.random() < 0.4
        ]
        headers = {"Idempotency-Key": f"k{self.dice.randrange(5)}"} if self.dice.random() < 0.3 else {}
        if self.dice.random() < 0.1:
            headers |= {"If-Match": '"x"', "If-None-Match": "*"}
        return method.upper(), path, query, headers, self.body_of(told)


def _quoted(text):
    return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))


def test_whatever_is_sent_to_any_address_is_no_error_of_ours(site):
    monkey = Monkey(site, seed=7)
    said = len(site.up.lines)
    give_up_at = time.monotonic() + FUZZ_SECONDS
    statuses = set()
    tries = 0

    while time.monotonic() < give_up_at:
        method, path, query, headers, body = monkey.request()
        asked = "&".join(f"{name}={_quoted(value)}" for name, value in query)
        data = json.dumps(body).encode() if method in ("POST", "PATCH", "PUT") else None
        answer = site.ask(
            method,
            f"{path}?{asked}" if asked else path,
            data=data,
            headers=headers | JSON,
            key=monkey.key,
            stream=True,
        )
        with answer:
            assert answer.status_code < 500, (method, path, query, headers, body, answer.text)
            if answer.status_code >= 400:
                assert answer.headers["Content-Type"] == "application/problem+json", (method, path, query)
                assert json.loads(answer.content)["code"]
            statuses.add(answer.status_code)
        tries += 1

    assert tries > 100
    assert statuses >= {200, 404, 422}
    assert is_up(site)
    log = "\n".join(site.up.lines[said:])
    assert "Unforeseen" not in log
    assert "Traceback" not in log
