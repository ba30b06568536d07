"""Following a task's log: one long answer after another, as if it were a single one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator
from typing import Self, cast

import requests

from gateway.client.python.problems import is_transient
from gateway.client.python.transport import CUTS, Call, Transport, delay
from gateway.client.python.types import Event
from gateway.errors import GatewayError, Unreachable

SILENCE_SECONDS = 45.0
"""A server says at least a heartbeat every 15 s; after so long without one the connection is dead."""
LONGEST_PAUSE = 5.0
FINAL = frozenset({"task.completed", "task.failed", "task.cancelled"})

HEARTBEAT = ""


class EventStream(Iterator[Event]):
    """Events in order, each once; ``last_seq`` is the number of the last one that was handed out."""

    def __init__(
        self,
        http: Transport,
        path: str,
        after: int,
        patience: float,
        on_cut: Callable[[GatewayError], None] | None,
    ) -> None:
        self.last_seq = max(after, 0)
        self._http = http
        self._path = path
        self._patience = patience
        self._on_cut = on_cut
        self._tries = 0
        self._alive_at = time.monotonic()
        self._gap_at: int | None = None
        self._events = self._follow()

    def __next__(self) -> Event:
        return next(self._events)

    def close(self) -> None:
        """Let go of the connection; the stream is over."""
        self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _follow(self) -> Generator[Event, None, None]:
        self._note_life()
        while True:
            try:
                for event in self._connection():
                    if event is None:
                        return
                    self.last_seq = event["seq"]
                    yield event
                    if event["type"] in FINAL:
                        return
                cut: GatewayError = Unreachable(f"{self._http.server.url} ended the stream early.")
            except GatewayError as exc:
                if not is_transient(exc):
                    raise
                cut = exc
            self._pause(cut)

    def _connection(self) -> Iterator[Event | None]:
        """The next events, as far as one connection carries; None: there are no more at all."""
        headers = {
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
            "Last-Event-ID": str(self.last_seq),
        }
        wait = max(SILENCE_SECONDS - self._http.timeout, 0.0)
        call = Call("GET", self._path, headers=headers, wait=wait, stream=True)
        response = self._http.response(call, retries=0)
        with response:
            if response.status_code == 204:
                yield None
                return
            if "text/event-stream" not in response.headers.get("Content-Type", ""):
                raise self._strange()
            try:
                yield from self._fresh(messages_in(pieces_of(response)))
            except CUTS as exc:
                raise self._http.unreachable(exc) from exc

    def _fresh(self, messages: Iterator[str]) -> Iterator[Event]:
        for message in messages:
            self._note_life()
            if message == HEARTBEAT:
                continue
            event = self._event(message)
            if event["seq"] <= self.last_seq:
                continue
            if event["seq"] > self.last_seq + 1 and self._gap_at != self.last_seq:
                # Something on the way lost a piece. If the server says the same again, then it has no more.
                self._gap_at = self.last_seq
                raise Unreachable(f"An event after number {self.last_seq} was lost on the way.")
            yield event

    def _event(self, message: str) -> Event:
        try:
            event = json.loads(message)
            int(event["seq"]), str(event["type"])
        except (ValueError, TypeError, KeyError) as exc:
            raise self._strange() from exc
        return cast("Event", event)

    def _strange(self) -> Unreachable:
        hint = "Check the address; a proxy on the way must pass streams on as they are."
        return Unreachable(
            f"{self._http.server.url} does not stream like Gateway.", hint=hint, permanent=True
        )

    def _note_life(self) -> None:
        self._alive_at, self._tries = time.monotonic(), 0

    def _pause(self, cut: GatewayError) -> None:
        if time.monotonic() - self._alive_at > self._patience:
            raise cut
        if self._on_cut is not None:
            self._on_cut(cut)
        self._tries += 1
        pause = delay(self._tries, longest=LONGEST_PAUSE)
        time.sleep(max(pause, min(cut.data.get("retry_after", 0.0), self._patience)))


def pieces_of(response: requests.Response) -> Iterator[bytes]:
    """The body as it arrives. Without chunks (an old proxy), only byte by byte comes without delay."""
    chunked = getattr(response.raw, "chunked", False)
    return iter(response.iter_content(chunk_size=None if chunked else 1))


def messages_in(pieces: Iterator[bytes]) -> Iterator[str]:
    """The data of each event of a ``text/event-stream``, and ``HEARTBEAT`` for each comment.

    What was not ended by an empty line was cut off, and is left out.
    """
    rest = b""
    data: list[bytes] = []
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                data.append(line.removeprefix(b"data:").removeprefix(b" "))
            elif line.startswith(b":"):
                yield HEARTBEAT
            elif not line and data:
                yield b"\n".join(data).decode()
                data = []
