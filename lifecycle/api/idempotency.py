"""``Idempotency-Key``: the first answer again, whatever was cut in between.

The key's row is written in the transaction of the effect itself: there is no moment in which a crash could
leave one without the other. Requests with the same key at the same time wait for each other.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import OperationalError, connection, transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.errors import IdempotencyMismatch, InProgress
from lifecycle.api import problems
from lifecycle.api.sign_in import actor_of
from lifecycle.input_rules import text
from lifecycle.models import IdempotencyKey

KEPT = timedelta(hours=24)
WAIT_MS = 5_000
MAX_PATH = 500
HEADER = "Idempotency-Key"

Handler = Callable[..., Response]


def idempotent(handler: Handler) -> Handler:
    """Let a POST handler honour ``Idempotency-Key``."""

    @functools.wraps(handler)
    def wrapper(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return handler(view, request, *args, **kwargs)
        call = functools.partial(handler, view, request, *args, **kwargs)
        return _once(request, text(key, HEADER, maximum=255, required=True), call)

    return wrapper


def _once(request: Request, key: str, call: Callable[[], Response]) -> Response:
    actor = actor_of(request)
    owner = actor.key_prefix or actor.name
    body = request._request.body
    digest = hashlib.sha256(body).hexdigest()
    place = {"owner": owner, "path": _path_of(request), "key": key}
    with transaction.atomic():
        _wait_for_turn(f"{owner} {request.path} {key}")
        row = IdempotencyKey.objects.filter(**place).first()
        if row is not None and row.created_at < timezone.now() - KEPT:
            row.delete()
            row = None
        if row is not None:
            return _replay(row, digest)
        response = _call(request, call)
        if response.status_code < 500:
            IdempotencyKey.objects.create(
                **place,
                digest=digest,
                status=response.status_code,
                body=response.data,
                headers={name: response.headers[name] for name in ("Location",) if name in response.headers},
            )
        return response


def _path_of(request: Request) -> str:
    """The path as it can be stored: an address may be long, and hold what no database takes."""
    path: str = request.path
    plain = len(path) <= MAX_PATH and path.isprintable()
    return path if plain else hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()


def _call(request: Request, call: Callable[[], Response]) -> Response:
    try:
        with transaction.atomic():
            return call()
    except Exception as exc:
        error, status = problems.translate(exc)
        if status >= 500:
            raise
        return problems.ProblemResponse(error, status, problems.request_id_of(request))


def _replay(row: IdempotencyKey, digest: str) -> Response:
    if row.digest != digest:
        raise IdempotencyMismatch(f"The idempotency key '{row.key}' was used for another body.")
    content_type = problems.MEDIA_TYPE if row.status >= 400 else None
    headers = {**row.headers, "Idempotency-Replayed": "true"}
    return Response(row.body, status=row.status, headers=headers, content_type=content_type)


def _wait_for_turn(name: str) -> None:
    # SQLite: the transaction has begun by taking the only write lock.
    if connection.vendor != "postgresql":
        return
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {WAIT_MS}")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])
            cursor.execute("SET LOCAL lock_timeout = DEFAULT")
    except OperationalError:
        raise InProgress(
            "The first request with this idempotency key is still running.", hint="Ask again.", retry_after=1
        ) from None
