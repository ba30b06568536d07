"""What the command's exit code says."""

from __future__ import annotations

from gateway.errors import (
    BadConfiguration,
    BadRequest,
    GatewayError,
    InvalidInput,
    NotAllowed,
    NotFound,
    NotReady,
    NotSignedIn,
    TooManyRequests,
    Unreachable,
)

OK = 0
FAILED = 1
"""The task failed, or the server refused for a reason without a number of its own."""
USAGE = 2
NOT_FOUND = 3
NOT_ALLOWED = 4
UNREACHABLE = 5
TIMED_OUT = 6
CANCELLED = 7
WAITING = 8
INTERRUPTED = 130

OF_STATUS = {"completed": OK, "failed": FAILED, "cancelled": CANCELLED}
OF_ERROR: tuple[tuple[type[GatewayError], int], ...] = (
    (InvalidInput, USAGE),
    (BadRequest, USAGE),
    (BadConfiguration, USAGE),
    (NotFound, NOT_FOUND),
    (NotSignedIn, NOT_ALLOWED),
    (NotAllowed, NOT_ALLOWED),
    (Unreachable, UNREACHABLE),
    (NotReady, UNREACHABLE),
    (TooManyRequests, UNREACHABLE),
)


def of_error(error: GatewayError) -> int:
    """The exit code for what the server, or the way to it, said."""
    return next((code for kind, code in OF_ERROR if isinstance(error, kind)), FAILED)
