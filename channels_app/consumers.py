"""Sockets: a task's events, and the states of a trace's or workspace's tasks.

Daphne has no back-pressure here (one client that did not read was measured to cost 300 MiB), so the window
is ours: at most 256 events, or about 1 MiB of them, go out beyond the last ack, and a client that acks
nothing for GATEWAY_SOCKET_ACK_SECONDS is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
from collections import deque
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import DatabaseError, InterfaceError

from channels_app import rights
from channels_app.hub import Feed, hub
from executor import share_link, task_manager
from executor.models import Task
from gateway.errors import GatewayError, NotAllowed, NotFound, NotSignedIn, TooManyRequests
from lifecycle import trace_manager, workspace_manager
from lifecycle.actors import Actor
from lifecycle.api.person import actor_of_scope
from lifecycle.database_threads import run

logger = logging.getLogger(__name__)

WINDOW = 256
WINDOW_BYTES = 1024 * 1024
"""Of that size are the events beyond the last ack, give or take one look at the log."""
MAX_FRAME = 4096

SIGN_IN, FORBIDDEN, UNKNOWN, NO_ACK, DONE = 4401, 4403, 4404, 4408, 1000
BROKEN, LATER = 1011, 1013


class Socket(AsyncWebsocketConsumer):
    """Signs in, watches in a task of its own, and looks at the rights again every few seconds."""

    async def connect(self) -> None:
        self._work: asyncio.Task[None] | None = None
        if not origin_allowed(self.scope):
            await self.close()  # before accept: HTTP 403 at the handshake
            return
        await self.accept()
        self._work = asyncio.create_task(self._run())

    async def disconnect(self, code: int) -> None:
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        with contextlib.suppress(ValueError, RecursionError):
            told = json.loads((text_data or "")[:MAX_FRAME])
            if isinstance(told, dict):
                self.told(told)

    def told(self, frame: dict[str, Any]) -> None:
        """Take a frame of the client's."""

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch())
                looking = group.create_task(rights.until_refused(self._credentials, self.allowed))
                watching.add_done_callback(lambda _: looking.cancel())
        except* GatewayError as errors:
            await self.close(code=code_of(errors.exceptions[0]))
        except* (DatabaseError, InterfaceError):
            await self.close(code=LATER)
        except* Exception:
            logger.exception("A socket failed")
            await self.close(code=BROKEN)

    async def _watch(self) -> None:
        await self.watch(await run(self.allowed))

    def allowed(self) -> Any:
        """What is to be watched; raises if the caller may not (any more)."""
        raise NotImplementedError

    async def watch(self, what: Any) -> None:
        """Send what is to be seen, until there is no more."""
        raise NotImplementedError

    @property
    def key(self) -> str:
        """The id in the address."""
        return str(self.scope["url_route"]["kwargs"]["key"])

    @property
    def _credentials(self) -> tuple[object, ...]:
        headers = dict(self.scope["headers"])
        shown = (headers.get(b"authorization"), headers.get(b"cookie"), self.query("share"))
        return (self.scope["path"], *shown)

    def query(self, name: str) -> str:
        """A query parameter; "" without."""
        values: list[str] = parse_qs(self.scope["query_string"].decode("latin1")).get(name, [""])
        return values[-1]


class TaskSocket(Socket):
    """``/ws/tasks/{id}?after=SEQ``"""

    async def connect(self) -> None:
        after = self.query("after")
        self._sent = self._acked = int(after) if re.fullmatch("[0-9]{1,9}", after) else 0
        self._acked_at = time.monotonic()
        self._owed: deque[tuple[int, int]] = deque()
        self._news = asyncio.Event()
        await super().connect()

    def told(self, frame: dict[str, Any]) -> None:
        ack, after = frame.get("ack"), frame.get("after")
        if isinstance(ack, int) and self._acked < ack <= self._sent:
            self._acked = ack
            self._acked_at = time.monotonic()
        if isinstance(after, int) and 0 <= after < 2**31:
            self._sent = self._acked = after
            self._acked_at = time.monotonic()
            self._owed.clear()
        while self._owed and self._owed[0][0] <= self._acked:
            self._owed.popleft()
        self._news.set()

    def allowed(self) -> Task:
        token = self.query("share")
        if token and share_link.shows(token, self.key):
            return task_manager.find(self.key, Actor("share"))
        actor = actor_of_scope(self.scope)
        actor.require("read")
        return task_manager.find(self.key, actor)

    async def watch(self, what: Task) -> None:
        async with hub.watch(what.pk, self._news) as feed:
            shown: tuple[str, str | None] | None = None
            while True:
                self._news.clear()  # before looking: what comes meanwhile is not slept through
                if await self._send_events(feed):
                    continue
                head = feed.head
                if (head.status, head.reason) != shown and self._sent >= head.last_seq:
                    shown = (head.status, head.reason)
                    await self.send(text_data=head.frame().decode())
                if head.final and self._acked >= head.last_seq:
                    await self.close(code=DONE)
                    return
                if not await self._wait():
                    await self.close(code=NO_ACK)
                    return

    async def _send_events(self, feed: Feed) -> bool:
        room = WINDOW - (self._sent - self._acked)
        reached = feed.head.last_seq
        if room <= 0 or self._sent >= reached or sum(size for _, size in self._owed) > WINDOW_BYTES:
            return False
        began = self._sent
        entries = await hub.read(feed, began, room)
        if self._sent != began:
            return True  # the client asked for other events meanwhile
        if not entries:  # they are no longer kept
            self._acked = reached if self._acked == began else self._acked
            self._sent = reached
            return True
        if self._sent == self._acked:
            self._acked_at = time.monotonic()  # from here on an ack is owed
        self._sent = entries[-1].seq
        self._owed.append((self._sent, sum(len(one.json) for one in entries)))
        frame = b'{"type":"events","events":[' + b",".join(one.json for one in entries) + b"]}"
        await self.send(text_data=frame.decode())
        return True

    async def _wait(self) -> bool:
        """Wait for news of the task or of the client; False if an ack is overdue."""
        owed = self._sent > self._acked
        left = self._acked_at + settings.GATEWAY_SOCKET_ACK_SECONDS - time.monotonic() if owed else None
        if left is not None and left <= 0:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._news.wait()
        return True


class TraceSocket(Socket):
    """``/ws/traces/{id}``: the states of its tasks."""

    def allowed(self) -> UUID:
        actor = actor_of_scope(self.scope)
        actor.require("read")
        return trace_manager.find(self.key, actor).pk

    async def watch(self, what: UUID) -> None:
        await self._relay("trace", str(what), {"trace_id": what})

    async def _relay(self, kind: str, key: str, filters: dict[str, Any]) -> None:
        async with hub.watch_group(kind, key, filters) as queue:
            while (head := await queue.get()) is not None:
                await self.send(text_data=head.frame().decode())
        await self.close(code=LATER)


class WorkspaceSocket(TraceSocket):
    """``/ws/workspaces/{id}``: the states of its tasks."""

    def allowed(self) -> Any:
        actor = actor_of_scope(self.scope)
        actor.require("read")
        return workspace_manager.find(self.key, actor).pk

    async def watch(self, what: Any) -> None:
        await self._relay("workspace", str(what), {"workspace_id": what})


class UnknownSocket(Socket):
    """Every other address."""

    def allowed(self) -> Any:
        actor_of_scope(self.scope)
        raise NotFound("There is no such socket.")


def code_of(error: BaseException) -> int:
    """The close code of a refusal."""
    if isinstance(error, TooManyRequests):
        return LATER
    if isinstance(error, NotSignedIn):
        return SIGN_IN
    return FORBIDDEN if isinstance(error, NotAllowed) else UNKNOWN


def origin_allowed(scope: dict[str, Any]) -> bool:
    """A browser's origin must be one of our hosts; a program sends none, and a key instead."""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin1")
    if not origin:
        return b"authorization" in headers
    try:
        host = urlsplit(origin).netloc
    except ValueError:
        return False
    own = headers.get(b"host", b"").decode("latin1")
    public = urlsplit(settings.GATEWAY_PUBLIC_URL).netloc
    return bool(host) and host in {own, public}
