"""Servers that behave as badly as networks do, each on a real port."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

PROBLEM = "application/problem+json"


@dataclass
class Request:
    """What a client asked."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Answer = bytes | Callable[[socket.socket, Request], None]


class StrangeServer:
    """Answers the n-th request with the n-th answer of its script, and any further one with the last."""

    def __init__(self, *script: Answer) -> None:
        self.script = list(script)
        self.requests: list[Request] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            request = read_request(connection)
            if request is None:
                return
            with self._lock:
                answer = self.script[min(len(self.requests), len(self.script) - 1)]
                self.requests.append(request)
            if callable(answer):
                answer(connection, request)
            else:
                connection.sendall(answer)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.discard(connection)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)


def read_request(connection: socket.socket) -> Request | None:
    """The request that comes on ``connection``; None if it closes first."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        if not piece:
            return None
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    method, target, _ = first.split(" ")
    return Request(method, target, headers, body)


def answer(status: int, body: Any = None, content_type: str = "application/json", **headers: str) -> bytes:
    """A whole answer; the connection is closed after it."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {"Content-Type": content_type, "Content-Length": str(len(content)), "Connection": "close"} | named
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {status} Word\r\n{head}\r\n".encode() + content


def problem(status: int, code: str, **more: Any) -> bytes:
    """A refusal as Gateway writes it."""
    headers = {"Retry_After": str(more.pop("retry_after"))} if "retry_after" in more else {}
    return answer(status, {"status": status, "code": code, "detail": f"{code}!", **more}, PROBLEM, **headers)


def hang(connection: socket.socket, request: Request) -> None:
    """Say nothing, until the client leaves."""
    select.select([connection], [], [], 30)


def event(seq: int, kind: str = "log", **data: Any) -> bytes:
    """An event as the stream carries it."""
    if kind == "log":
        data = {"level": "info", "message": f"line {seq}", "step": None} | data
    whole = {"seq": seq, "type": kind, "data": data, "attempt": 1, "at": "2026-03-01T08:00:00.000Z"}
    return f"id: {seq}\nevent: {kind}\ndata: {json.dumps(whole)}\n\n".encode()


def chunk(content: bytes) -> bytes:
    """A piece of a body of unknown length."""
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunk(b"retry: 2000\n\n")
)


def stream(*pieces: bytes, ends: bool = True) -> bytes:
    """A stream of these pieces; without ``ends`` it is cut off."""
    return STREAM_HEAD + b"".join(chunk(piece) for piece in pieces) + (b"0\r\n\r\n" if ends else b"")


class CuttingProxy:
    """Passes bytes between clients and a server, and cuts one after another after so many bytes of answer.

    A connection that ends otherwise does not count.
    """

    def __init__(self, port: int, cut_after: Iterable[int]) -> None:
        self._target = ("127.0.0.1", port)
        self._cuts = list(cut_after)
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._closing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(connection,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(self._target, 5) as server:
            left = self._cuts[0] if self._cuts else None
            while not self._closing:
                ready, _, _ = select.select([client, server], [], [], 0.2)
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is client:
                        server.sendall(data)
                    elif left is not None and len(data) >= left:
                        client.sendall(data[:left])
                        self._cuts.pop(0)
                        self.cuts += 1
                        self._break(client)
                        return
                    else:
                        left = None if left is None else left - len(data)
                        client.sendall(data)

    def _break(self, client: socket.socket) -> None:
        if self.cuts % 2:  # a reset instead of an end
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    def close(self) -> None:
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        time.sleep(0.3)
