"""What waits over HTTP, on the loop: the event stream, and long polls for a task and its events."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

from django.http import QueryDict

from channels_app.hub import Feed, hub
from executor import task_dict, task_manager
from executor.models import Task
from gateway.errors import GatewayError
from lifecycle import json_bytes
from lifecycle.actors import Actor
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
NO_STORE = (b"cache-control", b"no-store")


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
    work = asyncio.create_task(_guarded(handler(scope, match.group(1), send), request_id, send))
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


async def _guarded(work: Awaitable[None], request_id: str, send: Send) -> None:
    try:
        await work
    except Exception as exc:
        error, status = problems.translate(exc)
        await send_problem(error, status, request_id, send)


async def _task(scope: Scope, key: str, send: Send) -> None:
    query = Query(Asked(scope), ("wait",))
    wait = query.seconds("wait", high=MAX_TASK_WAIT_SECONDS)
    actor = await run(actor_of_scope, scope)
    task = await run(_find, key, actor)
    async with hub.watch(task.pk) as feed:
        give_up_at = time.monotonic() + wait
        while not feed.head.final and (left := give_up_at - time.monotonic()) > 0:
            await _changed(feed, left)
    await _send_json(await run(_told, key, actor), send)


async def _events(scope: Scope, key: str, send: Send) -> None:
    query = Query(Asked(scope), ("after", "limit", "wait"))
    wait = query.seconds("wait", high=MAX_EVENT_WAIT_SECONDS)
    after = query.whole("after", 0, low=-1, high=2**31 - 1)
    limit = query.whole("limit", 200, low=1, high=1000)
    actor = await run(actor_of_scope, scope)
    task = await run(_find, key, actor)
    async with hub.watch(task.pk) as feed:
        give_up_at = time.monotonic() + wait
        while feed.head.last_seq <= after and not feed.head.final:
            left = give_up_at - time.monotonic()
            if left <= 0:
                break
            await _changed(feed, left)
    page = await run(task_manager.TaskManager().read_events, key, after=after, limit=limit, actor=actor)
    await _send_json(page, send)


async def _stream(scope: Scope, key: str, send: Send) -> None:
    asked = Asked(scope)
    after = _cursor(asked)
    actor = await run(actor_of_scope, scope)
    task = await run(_find, key, actor)
    async with hub.watch(task.pk) as feed:
        if feed.head.final and after >= feed.head.last_seq:
            await _start(send, 204, [])
            await send({"type": "http.response.body"})
            return
        kind = (b"content-type", b"text/event-stream; charset=utf-8")
        await _start(send, 200, [kind, (b"x-accel-buffering", b"no")])
        await _write(send, b"retry: 2000\n\n")
        await _follow(feed, after, send)
    await send({"type": "http.response.body"})


async def _follow(feed: Feed, after: int, send: Send) -> None:
    while True:
        changed = feed.changed  # taken before reading: a change meanwhile is not slept through
        reached = feed.head.last_seq
        entries = await hub.read(feed, after)
        if entries:
            lines = [
                b"id: %d\nevent: %s\ndata: %s\n\n" % (one.seq, one.type.encode(), one.json) for one in entries
            ]
            await _write(send, b"".join(lines))
            after = entries[-1].seq
        elif after < reached:
            after = reached  # they are no longer kept
        elif feed.head.final and after >= feed.head.last_seq:
            return
        elif after >= feed.head.last_seq:
            try:
                await asyncio.wait_for(changed.wait(), HEARTBEAT_SECONDS)
            except TimeoutError:
                await _write(send, b": still here\n\n")


def _cursor(asked: Asked) -> int:
    query = Query(asked, ("after",))
    resumed = asked.headers.get(b"last-event-id")
    if resumed is None:
        return max(query.whole("after", 0, low=-1, high=2**31 - 1), 0)
    if not resumed.isdigit() or len(resumed) > 10:
        raise refuse("Last-Event-ID", "must be the number of an event.")
    return int(resumed)


async def _changed(feed: Feed, seconds: float) -> None:
    try:
        await asyncio.wait_for(feed.changed.wait(), seconds)
    except TimeoutError:
        return


def _find(key: str, actor: Actor) -> Task:
    actor.require("read")
    return task_manager.find(key, actor)


def _told(key: str, actor: Actor) -> task_dict.TaskDict:
    return task_manager.TaskManager().get_task(key, actor=actor)


async def _send_json(data: Any, send: Send) -> None:
    body = json_bytes.dumps(data)
    length = (b"content-length", str(len(body)).encode())
    await _start(send, 200, [(b"content-type", b"application/json"), length])
    await send({"type": "http.response.body", "body": body})


async def send_problem(error: GatewayError, status: int, request_id: str, send: Send) -> None:
    """Answer with a refusal, from outside Django."""
    body = json_bytes.dumps(problems.body_of(error, status, request_id))
    headers = problems.headers_of(error, status) | {
        "Content-Type": problems.MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "X-Request-Id": request_id,
    }
    await _start(send, status, [(name.lower().encode(), value.encode()) for name, value in headers.items()])
    await send({"type": "http.response.body", "body": body})


async def _start(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    message = {"type": "http.response.start", "status": status}
    await send({**message, "headers": [*headers, NO_STORE, (b"x-content-type-options", b"nosniff")]})


async def _write(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
