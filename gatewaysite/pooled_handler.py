"""Django under ASGI in a bounded pool of threads, each with a database connection that it keeps.

Django's own handler hops between the loop and a thread of its own for every request and middleware
(measured: 1.8 ms for an empty view), and opens a connection for each. Here a request makes one hop, its
body is limited while it is read, and a download is sent piece by piece instead of being read whole.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from typing import IO, Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.base import BaseHandler
from django.http import HttpResponseBase

from channels_app import live
from channels_app.live import send_problem
from gateway.errors import BadRequest, GatewayError, QuotaExceeded
from gatewaysite.bodies import BODY, BODY_SIZE
from lifecycle.database_threads import run
from lifecycle.ids import new_id

logger = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_HEADERS = 100
SPOOL_BYTES = 1024 * 1024


class Disconnected(Exception):
    """The caller went away."""


class PooledHandler(BaseHandler):
    """Serves every HTTP request that needs no waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware(is_async=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = new_id().hex
        try:
            body = await read_body(scope, receive)
        except Disconnected:
            return
        except GatewayError as exc:
            await send_problem(exc, exc.status, request_id, send)
            return
        with body:
            response = await run(self._respond, scope, body, request_id)
            try:
                await _wait_if_asked(scope, response)
                await self._send(response, send)
            finally:
                if response.streaming:
                    await run(response.close)

    def _respond(self, scope: Scope, body: IO[bytes], request_id: str) -> HttpResponseBase:
        request = ASGIRequest(scope, body)
        if BODY_SIZE in scope:  # DRF takes a body without a length, as a chunked one is, for none
            request.META["CONTENT_LENGTH"] = str(scope[BODY_SIZE])
        request.request_id = request_id  # type: ignore[attr-defined]
        response = self.get_response(request)
        response.headers["X-Request-Id"] = request_id
        if not response.streaming:
            response.close()  # here, and not by another hop: its content is whole
        return response

    async def _send(self, response: HttpResponseBase, send: Send) -> None:
        headers = [(name.lower().encode(), value.encode("latin1")) for name, value in response.items()]
        cookies = [one.output(header="").strip() for one in response.cookies.values()]
        headers += [(b"set-cookie", one.encode()) for one in cookies]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        if response.streaming:
            pieces = iter(response)
            while (piece := await run(_next, pieces)) is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body"})
        else:
            await send({"type": "http.response.body", "body": response.content})  # type: ignore[attr-defined]


async def _wait_if_asked(scope: Scope, response: Any) -> None:
    """Answer with the task once it is final, where a view asked for that."""
    if (awaited := getattr(response, "awaited", None)) is not None:
        response.content = await live.task_when_final(scope, *awaited)
        response.headers["Content-Length"] = str(len(response.content))


async def read_body(scope: Scope, receive: Receive) -> IO[bytes]:
    """The body in memory or, if it is large, in an unnamed file; refused as soon as it is too large."""
    headers = scope["headers"]
    if len(headers) > MAX_HEADERS:
        raise BadRequest(f"The request has {len(headers)} headers; at most {MAX_HEADERS} are read.")
    given = dict(headers)
    if given.get(b"content-encoding", b"identity") != b"identity" and not scope["path"].startswith("/v1/"):
        raise BadRequest("Compressed bodies are not read here.", hint="Send it without Content-Encoding.")
    limit = limit_of(scope)
    if BODY in scope:
        return _kept_body(scope[BODY], scope[BODY_SIZE], limit)
    _refuse_over(int(given.get(b"content-length", b"0") or 0), limit)
    body = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - the caller closes it
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            body.close()
            raise Disconnected
        piece = message.get("body", b"")
        size += len(piece)
        try:
            _refuse_over(size, limit)
        except QuotaExceeded:
            body.close()
            raise
        body.write(piece)
        if not message.get("more_body", False):
            body.seek(0)
            return body


def _kept_body(body: IO[bytes], size: int, limit: int) -> IO[bytes]:
    try:
        _refuse_over(size, limit)
    except QuotaExceeded:
        body.close()
        raise
    body.seek(0)
    return body


def limit_of(scope: Scope) -> int:
    """The bytes that a body may have: a file's, or a document's."""
    is_file = scope["method"] == "PUT" and "/files/" in scope["path"]
    return settings.GATEWAY_MAX_UPLOAD_MB * 1024 * 1024 if is_file else MAX_BODY_BYTES


def _refuse_over(size: int, limit: int) -> None:
    if size > limit:
        raise QuotaExceeded(
            f"The body has more than the {limit:,} bytes that are read here.",
            hint="Put large data into a file of the workspace; GATEWAY_MAX_UPLOAD_MB limits those.",
        )


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)
