"""The installation that the doors are tested on: `manage.py up` with agents of its own, and ways to it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.engine.installation import Probe, Store
from tests.up import Up

HERE = Path(__file__).parent
PATIENCE_SECONDS = 30.0
"""What anything may take on a busy machine before a test gives up."""
ACK_SECONDS = 3.0
MAX_UPLOAD_MB = 60
AGENTS: dict[str, dict[str, Any]] = {
    "echo": {}, "chatty": {}, "gated": {}, "maker": {}, "fails": {}, "stubborn": {"grace_seconds": 3},
}  # fmt: skip
FINAL = {"completed", "failed", "cancelled"}


@dataclass
class Answer:
    """What came back over a raw connection."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Site:
    """One running installation."""

    folder: Path
    config: Path
    store: Store
    up: Up = field(init=False)
    inside: Probe = field(init=False)
    key: str = field(init=False)
    """May do everything, everywhere."""

    def __post_init__(self) -> None:
        agents = self.config / "agents"
        agents.mkdir(parents=True)
        shutil.copy(HERE / "agents.py", agents / "door_agents.py")
        for name, limits in AGENTS.items():
            runner = {"kind": "python", "entrypoint": f"door_agents:{name}"}
            (agents / f"{name}.yaml").write_text(
                json.dumps({"name": name, "runner": runner, "limits": limits})
            )
        self.start()
        self.inside = Probe(os.environ | self.environment, HERE / "inside.py")
        self.key = self.inside("key", scopes=["read", "submit", "work", "admin"])

    @property
    def environment(self) -> dict[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": "gatewaysite.settings",
            "GATEWAY_DATA_DIR": str(self.folder),
            "GATEWAY_CONFIG_DIR": str(self.config),
            "DATABASE_URL": self.store.address(self.folder),
            "GATEWAY_REQUESTS_PER_MINUTE": "1000000",
            "GATEWAY_MAX_UPLOAD_MB": str(MAX_UPLOAD_MB),
            "GATEWAY_SOCKET_ACK_SECONDS": str(ACK_SECONDS),
            "GATEWAY_DRAIN_SECONDS": "1",
        }

    # --- the processes --------------------------------------------------------------------------------------

    def start(self) -> None:
        self.up = Up(self.folder, "--no-demo", **self.environment)
        self.up.said(r"Ctrl-C stops everything")

    def restart_web(self, number: int = signal.SIGKILL) -> None:
        """End the web process and wait until the supervisor's next one answers."""
        ended = self.web
        ended.send_signal(number)
        ended.wait(PATIENCE_SECONDS)
        self.until(lambda: self._alive_again(), "the web process is back")

    def _alive_again(self) -> bool:
        try:
            return requests.get(f"{self.base}/readyz", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    @property
    def web(self) -> psutil.Process:
        return self.up.child("gatewaysite.web")

    def memory(self) -> float:
        """What the web process holds, in MiB."""
        return float(self.web.memory_info().rss) / 2**20

    def close(self) -> None:
        self.inside.close()
        self.up.stop()
        self.up.clear()
        self.store.drop()

    # --- HTTP -----------------------------------------------------------------------------------------------

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.up.port}"

    def ask(self, method: str, path: str, *, key: str | None = "", **options: Any) -> requests.Response:
        """One request; ``key`` "" is the key that may do everything, None is none."""
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers.setdefault("Authorization", f"Bearer {key or self.key}")
        prefix = "" if path.startswith(("/api/", "/healthz", "/readyz", "/metrics")) else "/api/v1"
        options.setdefault("timeout", PATIENCE_SECONDS)
        return requests.request(method, self.base + prefix + path, headers=headers, **options)  # noqa: S113

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.ask("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> requests.Response:
        return self.ask("POST", path, json=json, **options)

    def raw(self, request: bytes, *, timeout: float = PATIENCE_SECONDS) -> Answer:
        """Send bytes as they are and read one answer."""
        with socket.create_connection(("127.0.0.1", self.up.port), timeout=timeout) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before the end
                connection.sendall(request)
            return read_answer(connection)

    def request_bytes(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> bytes:
        """A request as it goes over the wire, with the key."""
        given = {
            "Host": f"127.0.0.1:{self.up.port}",
            "Authorization": f"Bearer {self.key}",
            "Connection": "close",
        }
        given |= {"Content-Length": str(len(body))} if body else {}
        lines = "".join(f"{name}: {value}\r\n" for name, value in (given | (headers or {})).items())
        return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin1") + body

    # --- tasks ----------------------------------------------------------------------------------------------

    def trace(self, agent_type: str = "echo", workspace: str = "tests", **more: Any) -> str:
        made = self.post("/traces", {"workspace_id": workspace, "agent_type": agent_type, **more})
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    def submit(
        self, agent_type: str = "echo", input: Any = None, workspace: str = "tests", **more: Any
    ) -> str:
        """Submit a task to a trace of its own."""
        trace = more.pop("trace_id", None) or self.trace(agent_type, workspace)
        body = {"trace_id": trace, "description": "A task of the tests", "input": input, **more}
        made = self.post("/tasks", body)
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    def final(self, task_id: str) -> dict[str, Any]:
        """The task once it is final."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS * 2
        while time.monotonic() < give_up_at:
            task = self.get(f"/tasks/{task_id}?wait=5").json()
            if task["status"] in FINAL:
                return dict(task)
        raise AssertionError(f"not final: {task}\n{self.up.text}")

    def run(self, agent_type: str = "echo", input: Any = None, **more: Any) -> dict[str, Any]:
        return self.final(self.submit(agent_type, input, **more))

    def events(self, task_id: str, after: int = 0) -> list[dict[str, Any]]:
        """All events after ``after``, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.get(f"/tasks/{task_id}/events?after={after}&limit=1000").json()
            found += page["items"]
            if not page["items"]:
                return found
            after = found[-1]["seq"]

    def gate(self) -> Path:
        """A path that nothing lies at yet: agents that wait for it go on once it is touched."""
        return self.folder / f"gate-{uuid.uuid4().hex}"

    def until(self, condition: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        give_up_at = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < give_up_at, (
                f"waited {seconds:.0f} s in vain until {what}\n{self.up.text}"
            )
            time.sleep(0.05)

    # --- sockets and streams --------------------------------------------------------------------------------

    def socket(self, path: str, *, key: str | None = "", **options: Any) -> ClientConnection:
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers.setdefault("Authorization", f"Bearer {key or self.key}")
        options.setdefault("max_size", 2**26)
        address = f"ws://127.0.0.1:{self.up.port}{path}"
        return connect(address, additional_headers=headers, open_timeout=PATIENCE_SECONDS, **options)

    def frames(self, socket: ClientConnection) -> Iterator[dict[str, Any]]:
        """The frames of a socket until the server closes it."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                yield json.loads(socket.recv(timeout=PATIENCE_SECONDS))

    def frames_until(
        self, socket: ClientConnection, wanted: Callable[[dict[str, Any]], bool]
    ) -> list[dict[str, Any]]:
        """The next frames, up to and with the one that is wanted."""
        found = []
        while True:
            found.append(json.loads(socket.recv(timeout=PATIENCE_SECONDS)))
            if wanted(found[-1]):
                return found

    def stream(self, task_id: str, *, after: int | None = None, last_id: str | None = None) -> Stream:
        query = "" if after is None else f"?after={after}"
        headers = {} if last_id is None else {"Last-Event-ID": last_id}
        answer = self.get(f"/tasks/{task_id}/stream{query}", headers=headers, stream=True)
        return Stream(answer)


class Stream:
    """The lines and events of an event stream."""

    def __init__(self, answer: requests.Response) -> None:
        self.answer = answer
        self.lines: list[str] = []
        self.ended = False

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc: object) -> None:
        self.answer.close()

    def events(self) -> Iterator[dict[str, Any]]:
        """Events as they come, each checked against its own lines."""
        fields: dict[str, str] = {}
        for line in self.answer.iter_lines(chunk_size=None, decode_unicode=False):
            text = line.decode()
            self.lines.append(text)
            if text and not text.startswith(":"):
                name, _, value = text.partition(": ")
                fields[name] = value
            elif not text and "data" in fields:
                event = json.loads(fields["data"])
                assert fields["id"] == str(event["seq"])
                assert fields["event"] == event["type"]
                fields = {}
                yield event
            elif not text:
                fields = {}
        self.ended = True


def read_answer(connection: socket.socket) -> Answer:
    """Read one answer to its end: by its length, by its chunks, or until the server hangs up."""
    stream = connection.makefile("rb")
    with stream:
        first = stream.readline()
        assert first.startswith(b"HTTP/"), first
        headers: dict[str, str] = {}
        while (line := stream.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            headers[name.decode("latin1").lower()] = value.strip().decode("latin1")
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(stream.readline(), 16):
                body += stream.read(size)
                stream.readline()
        elif "content-length" in headers:
            body = stream.read(int(headers["content-length"]))
        else:
            body = stream.read()
    return Answer(int(first.split()[1]), headers, body)
