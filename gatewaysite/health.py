"""Whether the process lives (``/healthz``) and the installation works (``/readyz``)."""

from __future__ import annotations

from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse

from executor.blocked_by import workers_alive
from executor.models import Worker


def healthz(request: HttpRequest) -> JsonResponse:
    """200 while this process answers."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 when the database answers, a worker is alive and a clock ticks; else 503 with what is missing."""
    try:
        checks = {
            "database": True,
            "worker": workers_alive(Worker.Kind.RUNNER),
            "clock": workers_alive(Worker.Kind.CLOCK),
        }
    except DatabaseError:
        checks = {"database": False, "worker": False, "clock": False}
    ready = all(checks.values())
    response = JsonResponse({"ready": ready, **checks}, status=200 if ready else 503)
    response._has_been_logged = True  # type: ignore[attr-defined]  # not ready yet is an answer, not an error
    return response
