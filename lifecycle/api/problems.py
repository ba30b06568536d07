"""Every refusal as ``application/problem+json``, the same from DRF and from native async views."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest
from rest_framework import exceptions
from rest_framework.response import Response

from gateway.errors import (
    BadRequest,
    GatewayError,
    InvalidInput,
    NotAllowed,
    NotFound,
    NotReady,
    NotSignedIn,
    TooManyRequests,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "Bad request",
    401: "Sign in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    412: "Precondition failed",
    413: "Too large",
    415: "Unsupported media type",
    422: "Invalid",
    428: "Precondition required",
    429: "Too many requests",
    500: "Internal error",
    503: "Not ready",
}
RETRY_SECONDS = 1


class ProblemResponse(Response):
    """A refusal."""

    def __init__(self, error: GatewayError, status: int, request_id: str) -> None:
        headers = headers_of(error, status)
        super().__init__(
            body_of(error, status, request_id), status=status, headers=headers, content_type=MEDIA_TYPE
        )


def handle(exc: Exception, context: dict[str, Any]) -> ProblemResponse:
    """DRF's exception handler."""
    error, status = translate(exc)
    return ProblemResponse(error, status, request_id_of(context["request"]))


def translate(exc: Exception) -> tuple[GatewayError, int]:
    """The error that a caller is told, and its HTTP status; what we did not foresee is logged and a 500."""
    if isinstance(exc, GatewayError):
        return exc, exc.status
    if isinstance(exc, exceptions.APIException):
        return _of_drf(exc)
    if isinstance(exc, Http404):
        return NotFound("There is no such address.", hint="See /api/schema."), 404
    if isinstance(exc, PermissionDenied):
        return NotAllowed("This is not allowed."), 403
    if isinstance(exc, SuspiciousOperation):  # such as a thousand query parameters
        return BadRequest(f"The request cannot be read: {exc}"), 400
    if isinstance(exc, OperationalError | InterfaceError):
        logger.warning("The database cannot serve a request: %s", exc)
        return NotReady("The database is busy or cannot be reached.", hint="Try again in a moment."), 503
    logger.error("Unforeseen error", exc_info=exc)
    return GatewayError("Something went wrong in Gateway.", hint="Report it with its request_id."), 500


def body_of(error: GatewayError, status: int, request_id: str) -> dict[str, Any]:
    """The problem as RFC 9457 has it, with our code, hint and data."""
    return {
        "type": "about:blank",
        "title": TITLES.get(status, "Refused"),
        "status": status,
        "detail": _text(error.message),
        "code": error.code,
        "hint": _text(error.hint),
        "request_id": request_id,
        "errors": [{name: _text(value) for name, value in one.items()} for one in error.errors],
        **error.data,
    }


def _text(value: str) -> str:
    # A refusal quotes what it refuses, and is kept for Idempotency-Key: no database stores a NUL or half a
    # surrogate pair.
    return str(value).replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def headers_of(error: GatewayError, status: int) -> dict[str, str]:
    """The headers that belong to a refusal."""
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    if status in (429, 503) or error.code == "in_progress":
        return {"Retry-After": str(error.data.get("retry_after", RETRY_SECONDS))}
    return {}


def request_id_of(request: HttpRequest | Any) -> str:
    """The id under which the logs know this request."""
    return str(
        getattr(request, "request_id", "")
        or getattr(request, "_request", request).__dict__.get("request_id", "")
    )


def _of_drf(exc: exceptions.APIException) -> tuple[GatewayError, int]:
    if isinstance(exc, exceptions.ValidationError):
        errors = _fields(exc.detail)
        first = errors[0] if errors else {"field": "", "message": "is invalid"}
        return InvalidInput(f"{first['field']}: {first['message']}".removeprefix(": "), errors=errors), 422
    if isinstance(exc, exceptions.ParseError):
        return BadRequest(str(exc.detail), hint="Send valid JSON in UTF-8."), 400
    if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return NotSignedIn(str(exc.detail)), 401
    if isinstance(exc, exceptions.PermissionDenied):
        return NotAllowed(str(exc.detail)), 403
    if isinstance(exc, exceptions.Throttled):
        wait = max(1, round(getattr(exc, "wait", None) or RETRY_SECONDS))
        return TooManyRequests(f"Too many requests; try again in {wait} s.", retry_after=wait), 429
    error = GatewayError(str(exc.detail))
    error.code = str(exc.default_code)  # type: ignore[misc]
    return error, exc.status_code


def _fields(detail: Any, path: str = "") -> list[dict[str, str]]:
    if isinstance(detail, dict):
        return [
            one
            for key, value in detail.items()
            for one in _fields(value, path if key == "non_field_errors" else f"{path}.{key}".lstrip("."))
        ]
    if isinstance(detail, list):
        return [
            one
            for index, value in enumerate(detail)
            for one in _fields(value, f"{path}.{index}" if isinstance(value, dict) else path)
        ]
    return [{"field": path, "message": str(detail)}]
