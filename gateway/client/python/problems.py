"""What a server refuses, as the error of ``gateway.errors`` that its code names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.errors import (
    AgentTypeNotFound,
    AlreadyExists,
    BadConfiguration,
    BadRequest,
    Busy,
    Conflict,
    GatewayError,
    IdempotencyMismatch,
    InProgress,
    InvalidInput,
    IsDirectory,
    LeaseLost,
    NotAllowed,
    NotFound,
    NotReady,
    NotSignedIn,
    PreconditionFailed,
    QuotaExceeded,
    TaskNotFound,
    TooManyRequests,
    TraceNotFound,
    Unreachable,
    WorkspaceNotFound,
)

KINDS: tuple[type[GatewayError], ...] = (
    AlreadyExists,
    BadConfiguration,
    BadRequest,
    Busy,
    Conflict,
    IdempotencyMismatch,
    InProgress,
    InvalidInput,
    IsDirectory,
    LeaseLost,
    NotAllowed,
    NotFound,
    NotReady,
    NotSignedIn,
    PreconditionFailed,
    QuotaExceeded,
    TooManyRequests,
    Unreachable,
)
BY_CODE = {kind.code: kind for kind in KINDS}
# For answers without a code of ours: a proxy's, or one that a newer server added.
BY_STATUS: dict[int, type[GatewayError]] = {
    400: BadRequest,
    401: NotSignedIn,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    413: QuotaExceeded,
    422: InvalidInput,
    429: TooManyRequests,
    502: Unreachable,
    503: NotReady,
    504: Unreachable,
}
MISSING_BY_FIELD: dict[str, type[NotFound]] = {
    "task_id": TaskNotFound,
    "trace_id": TraceNotFound,
    "parent_id": TraceNotFound,
    "workspace_id": WorkspaceNotFound,
    "agent_type": AgentTypeNotFound,
}
MISSING_BY_HINT = {
    kind.default_hint: kind for kind in (TaskNotFound, TraceNotFound, WorkspaceNotFound, AgentTypeNotFound)
}
# The server's own hints speak to its managers.
HINTS = {
    TaskNotFound.default_hint: "Check the id; `client.list_tasks()` shows the tasks you may see.",
    TraceNotFound.default_hint: "Create one with `client.create_trace(workspace_id=…, agent_type=…)`.",
    WorkspaceNotFound.default_hint: "Create it with `client.create_workspace(id)`.",
}
KNOWN = {"type", "title", "status", "detail", "code", "hint", "request_id", "errors"}

# What these mean is that nothing was done, or nothing is known of it: asking again may help.
TRANSIENT_CODES = {"in_progress", "too_many_requests", "not_ready", "unreachable"}


def error_of(status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> GatewayError:
    """The error that an answer stands for; ``data["retry_after"]`` holds its ``Retry-After`` in seconds."""
    code = str(problem.get("code") or "")
    errors = [one for one in problem.get("errors") or () if isinstance(one, dict)]
    hint = str(problem.get("hint") or "")
    kind = BY_CODE.get(code) or BY_STATUS.get(status, GatewayError)
    if kind is NotFound:
        kind = _what_is_missing(hint, errors)
    error = kind(
        str(problem.get("detail") or problem.get("title") or f"The server answered {status}."),
        hint=HINTS.get(hint, hint),
        errors=errors,
        request_id=problem.get("request_id") or None,
    )
    error.status = status  # type: ignore[misc]  # a server may answer what the class does not foresee
    if code:
        error.code = code  # type: ignore[misc]
    error.data = {key: value for key, value in problem.items() if key not in KNOWN}
    if retry_after is not None:
        error.data["retry_after"] = retry_after
    return error


def is_transient(error: GatewayError) -> bool:
    """Whether the same request may well succeed in a moment."""
    return error.code in TRANSIENT_CODES and not error.data.get("permanent", False)


def _what_is_missing(hint: str, errors: list[dict[str, str]]) -> type[NotFound]:
    for one in errors:
        if kind := MISSING_BY_FIELD.get(one.get("field", "")):
            return kind
    return MISSING_BY_HINT.get(hint, NotFound)
