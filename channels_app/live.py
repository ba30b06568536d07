"""What waits over HTTP, on the loop: the event stream, and long polls for a task and its events."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError
from django.http import QueryDict

from channels_app.hub import Feed, hub
from executor import task_dict, task_manager
from executor.models import Task
from gateway.errors import GatewayError, NotAllowed, NotFound, NotSignedIn, TooManyRequests
from lifecycle import json_bytes
from lifecycle.api import problems
from lifecycle.api.person import actor_of_scope
from lifecycle.api.views import Query
from lifecycle.database_threads import run
from lifecycle.ids import new_id
from lifecycle.input_rules import refuse

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

ROUTE = re.compile(r"/api/v1/tasks/([^/]+)(/events|/stream|)")
MAX_TASK_WAIT_SECONDS = 60
MAX_EVENT_WAIT_SECONDS = 30
HEARTBEAT_SECONDS = 15
RIGHTS_SECONDS = 5
ALWAYS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class Asked:
    """A GET as the handlers here need it."""

    def __init__(self, scope: Scope) -> None:
        self.GET = QueryDict(scope["query_string"])
        self.headers: dict[bytes, bytes] = dict(scope["headers"])


def serves(scope: Scope) -> bool:
    """Whether the request is one that waits."""
    match = ROUTE.fullmatch(scope["path"])
    if match is None or scope["method"] != "GET":
        return False
    return match.group(2) == "/stream" or b"wait=" in scope["query_string"]


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that waits; ends when its caller goes away."""
    request_id = new_id().hex
    match = ROUTE.fullmatch(scope["path"])
    assert match is not None  # noqa: S101 - serves() said so
    handler = {"": _task, "/events": _events, "/stream": _stream}[match.group(2)]
    answer = Answer(send, request_id)
    work = asyncio.create_task(_guarded(handler(scope, match.group(1), answer), answer))
    gone = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        work.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Answer:
    """The answer to one request."""

    def __init__(self, send: Send, request_id: str) -> None:
        self.send = send
        self.request_id = request_id
        self.started = False

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send the status and the headers."""
        self.started = True
        headers = [*headers, *ALWAYS, (b"x-request-id", self.request_id.encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, body: bytes) -> None:
        """Send a part of the body; waits while the client does not read."""
        await self.send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self, body: bytes = b"") -> None:
        """Send the rest of the body."""
        await self.send({"type": "http.response.body", "body": body})

    async def json(self, data: Any) -> None:
        """Send all of it."""
        body = json_bytes.dumps(data)
        length = (b"content-length", str(len(body)).encode())
        await self.start(200, [(b"content-type", b"application/json"), length])
        await self.end(body)


async def _guarded(work: Awaitable[None], answer: Answer) -> None:
    try:
        await work
    except Exception as exc:
        error, status = problems.translate(exc)
        if answer.started:
            await answer.end()  # a stream that ends too early is asked for again
        else:
            await send_problem(error, status, answer.request_id, answer.send)


async def task_when_final(scope: Scope, key: str, wait: float) -> bytes:
    """The task as JSON, once it is final or after ``wait`` seconds."""
    await _until_final(UUID(key), wait)
    return json_bytes.dumps(await run(_told, scope, key))


async def _until_final(task_id: UUID, wait: float) -> None:
    async with hub.watch(task_id) as feed:
        give_up_at = time.monotonic() + wait
        while not feed.head.final and (left := give_up_at - time.monotonic()) > 0:
            await _heard(feed.changed, left)


async def _task(scope: Scope, key: str, answer: Answer) -> None:
    query = Query(Asked(scope), ("wait",))
    wait = query.seconds("wait", high=MAX_TASK_WAIT_SECONDS)
    task = await run(_find, scope, key)
    await _until_final(task.pk, wait)
    await answer.json(await run(_told, scope, key))


async def _events(scope: Scope, key: str, answer: Answer) -> None:
    query = Query(Asked(scope), ("after", "limit", "wait"))
    wait = query.seconds("wait", high=MAX_EVENT_WAIT_SECONDS)
    after = query.whole("after", 0, low=-1, high=2**31 - 1)
    limit = query.whole("limit", 200, low=1, high=1000)
    task = await run(_find, scope, key)
    async with hub.watch(task.pk) as feed:
        give_up_at = time.monotonic() + wait
        while feed.head.last_seq <= after and not feed.head.final:
            left = give_up_at - time.monotonic()
            if left <= 0:
                break
            await _heard(feed.changed, left)
    await answer.json(await run(_read, scope, key, after, limit))


async def _stream(scope: Scope, key: str, answer: Answer) -> None:
    after = _cursor(Asked(scope))
    task = await run(_find, scope, key)
    async with hub.watch(task.pk) as feed:
        if feed.head.final and after >= feed.head.last_seq:
            await answer.start(204, [])
            await answer.end()
            return
        kind = (b"content-type", b"text/event-stream; charset=utf-8")
        await answer.start(200, [kind, (b"x-accel-buffering", b"no")])
        await answer.write(b"retry: 2000\n\n")
        following = asyncio.create_task(_follow(feed, after, answer))
        rights = asyncio.create_task(_watch_rights(scope, key))
        try:
            await asyncio.wait({following, rights}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            following.cancel()
            rights.cancel()
            await asyncio.gather(following, rights, return_exceptions=True)
    await answer.end()


async def _watch_rights(scope: Scope, key: str) -> None:
    """Look again every few seconds; ends when the caller may not read the task any more."""
    with contextlib.suppress(NotSignedIn, NotAllowed, NotFound):
        while True:
            await asyncio.sleep(RIGHTS_SECONDS)
            with contextlib.suppress(DatabaseError, InterfaceError, TooManyRequests):
                await run(_find, scope, key)


async def _follow(feed: Feed, after: int, answer: Answer) -> None:
    while True:
        changed = feed.changed  # taken before reading: a change meanwhile is not slept through
        reached = feed.head.last_seq
        entries = await hub.read(feed, after)
        if entries:
            lines = [
                b"id: %d\nevent: %s\ndata: %s\n\n" % (one.seq, one.type.encode(), one.json) for one in entries
            ]
            await answer.write(b"".join(lines))
            after = entries[-1].seq
        elif after < reached:
            after = reached  # they are no longer kept
        elif feed.head.final and after >= feed.head.last_seq:
            return
        elif after >= feed.head.last_seq and not await _heard(changed, HEARTBEAT_SECONDS):
            await answer.write(b": still here\n\n")


def _cursor(asked: Asked) -> int:
    query = Query(asked, ("after",))
    resumed = asked.headers.get(b"last-event-id")
    if resumed is None:
        return max(query.whole("after", 0, low=-1, high=2**31 - 1), 0)
    if not resumed.isdigit() or len(resumed) > 10:
        raise refuse("Last-Event-ID", "must be the number of an event.")
    return int(resumed)


async def _heard(event: asyncio.Event, seconds: float) -> bool:
    # Not wait_for(): in Python 3.11 that can swallow the cancellation of a caller who went away.
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


# Each asks anew who is there: a key may be revoked while its request waits.


def _find(scope: Scope, key: str) -> Task:
    actor = actor_of_scope(scope)
    actor.require("read")
    return task_manager.find(key, actor)


def _told(scope: Scope, key: str) -> task_dict.TaskDict:
    return task_manager.TaskManager().get_task(key, actor=actor_of_scope(scope))


def _read(scope: Scope, key: str, after: int, limit: int) -> task_manager.EventPage:
    actor = actor_of_scope(scope)
    return task_manager.TaskManager().read_events(key, after=after, limit=limit, actor=actor)


async def send_problem(error: GatewayError, status: int, request_id: str, send: Send) -> None:
    """Answer with a refusal, from outside Django."""
    body = json_bytes.dumps(problems.body_of(error, status, request_id))
    headers = problems.headers_of(error, status) | {
        "Content-Type": problems.MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "X-Request-Id": request_id,
    }
    lines = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": [*lines, *ALWAYS]})
    await send({"type": "http.response.body", "body": body})
