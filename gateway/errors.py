"""Every error of Gateway: its code, HTTP status and cure. Pure Python, shared by server, SDK and agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class GatewayError(Exception):
    """Something Gateway refused or could not do.

    ``message`` says what is wrong, ``hint`` how to mend it, ``code`` is stable for programs, ``status`` is
    the HTTP status. ``data`` holds what a caller needs to act (``current_status``, ``active_task_id`` …);
    ``errors`` lists the fields that were refused as ``{"field", "message"}``.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    default_hint: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        errors: Sequence[dict[str, str]] = (),
        request_id: str | None = None,
        **data: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
        self.errors = list(errors)
        self.request_id = request_id
        self.data = data

    def __str__(self) -> str:
        if not self.hint:
            return self.message
        end = "" if self.message.endswith((".", "!", "?", ":", "。", "…")) else "."
        return f"{self.message}{end} {self.hint}"


class InvalidInput(GatewayError):
    """Well-formed but not acceptable; ``errors`` names each field."""

    code = "invalid"
    status = 422


class NotFound(GatewayError):
    """No such object, or one that the actor may not see: the two are not told apart."""

    code = "not_found"
    status = 404


class TaskNotFound(NotFound):
    """There is no task with this id."""

    default_hint = "Check the id; `TaskManager().list_tasks()` shows the tasks you may see."


class TraceNotFound(NotFound):
    """There is no trace with this id."""

    default_hint = "Create one with `TraceManager().create_trace(workspace_id=…, agent_type=…)`."


class WorkspaceNotFound(NotFound):
    """There is no workspace with this id."""

    default_hint = "Create it with `WorkspaceManager().create_workspace(id)`."


class AgentTypeNotFound(NotFound):
    """There is no agent type with this name."""

    default_hint = "Add `config/agents/NAME.yaml` and run `python manage.py config reload`."


class Conflict(GatewayError):
    """The object's present state does not allow this; ``current_status`` says what it is."""

    code = "conflict"
    status = 409


class AlreadyExists(GatewayError):
    """The id is taken."""

    code = "already_exists"
    status = 409


class Busy(GatewayError):
    """The trace is busy with ``active_task_id`` and the caller asked not to queue."""

    code = "busy"
    status = 409


class LeaseLost(GatewayError):
    """The attempt no longer owns its task: stop at once and drop the result."""

    code = "lease_lost"
    status = 409
    default_hint = "Stop at once, drop the result and claim new work."


class NotSignedIn(GatewayError):
    """The key is missing, wrong, expired or revoked."""

    code = "not_signed_in"
    status = 401
    default_hint = "Send `Authorization: Bearer gk_…`; `python manage.py create_api_key NAME` makes a key."


class BadRequest(GatewayError):
    """The body or the address cannot be read at all."""

    code = "bad_request"
    status = 400


class TooManyRequests(GatewayError):
    """Slow down; ``retry_after`` says for how many seconds."""

    code = "too_many_requests"
    status = 429


class PreconditionFailed(GatewayError):
    """``If-Match`` names a version that is no longer the present one."""

    code = "precondition_failed"
    status = 412


class IdempotencyMismatch(GatewayError):
    """The idempotency key was used for another body."""

    code = "idempotency_mismatch"
    status = 422
    default_hint = "Use a new Idempotency-Key for a new request."


class InProgress(GatewayError):
    """The first request with this idempotency key is still running."""

    code = "in_progress"
    status = 409


class IsDirectory(GatewayError):
    """The path names a folder where a file is wanted."""

    code = "is_directory"
    status = 409


class Unreachable(GatewayError):
    """The server cannot be reached, or did not answer in time."""

    code = "unreachable"
    status = 503
    default_hint = "Check the address (GATEWAY_URL) and that Gateway runs there: `make run`."


class NotAllowed(GatewayError):
    """The actor lacks the scope that this verb needs."""

    code = "scope_missing"
    status = 403


class QuotaExceeded(GatewayError):
    """The workspace's quota would be exceeded."""

    code = "quota_exceeded"
    status = 413


class BadConfiguration(GatewayError):
    """A configuration file or an environment variable cannot be used; says which, and the cure."""

    code = "bad_configuration"
    status = 500


class NotReady(GatewayError):
    """The installation is not ready to work: no database yet, unapplied migrations, busy database."""

    code = "not_ready"
    status = 503


class AgentError(GatewayError):
    """What an agent raises, or what is raised in it; ends or pauses its run."""


class Retryable(AgentError):
    """Raised by an agent: this attempt failed, another one may succeed."""

    code = "error"


class AgentNotConfigured(AgentError):
    """The agent lacks what it needs (a key, a module); the task fails with this code and the hint."""

    code = "agent_not_configured"


class Cancelled(AgentError):
    """The task is being cancelled; raised in the agent so that it can tidy up and stop."""

    code = "cancelled"
