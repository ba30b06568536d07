"""``/metrics`` for Prometheus: how the engine stands, for loopback or a key with read."""

from __future__ import annotations

import ipaddress

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from executor.engine_manager import EngineManager
from gateway.errors import GatewayError, NotSignedIn
from lifecycle.actors import SYSTEM
from lifecycle.api import problems
from lifecycle.api.sign_in import actor_of_header, address_of


def metrics(request: HttpRequest) -> HttpResponse:
    """The numbers, made anew at each call from the rows."""
    try:
        _require_right(request)
    except GatewayError as exc:
        body = problems.body_of(exc, exc.status, problems.request_id_of(request))
        headers = problems.headers_of(exc, exc.status)
        return JsonResponse(body, status=exc.status, headers=headers, content_type=problems.MEDIA_TYPE)
    return HttpResponse(generate_latest(_registry()), content_type=CONTENT_TYPE_LATEST)


def _require_right(request: HttpRequest) -> None:
    actor = actor_of_header(request.headers.get("Authorization", ""), address_of(request))
    if actor is not None:
        actor.require("read")
    elif not _is_loopback(address_of(request)):
        raise NotSignedIn("Metrics are for this machine, or for a key with the scope read.")


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    stats = EngineManager().stats(actor=SYSTEM)
    tasks = Gauge("gateway_tasks", "Unfinished tasks by status.", ["status"], registry=registry)
    for status, count in stats["tasks"].items():
        tasks.labels(status).set(count)
    oldest = parse_datetime(stats["oldest_due_at"]) if stats["oldest_due_at"] else None
    waiting = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    Gauge("gateway_oldest_due_seconds", "How long the oldest due task waits.", registry=registry).set(waiting)
    Gauge("gateway_workers", "Worker processes alive.", registry=registry).set(len(stats["workers"]))
    running = sum(worker["running"] for worker in stats["workers"])
    Gauge("gateway_runs", "Runs in the worker processes.", registry=registry).set(running)
    slots = sum(worker["slots"] for worker in stats["workers"])
    Gauge("gateway_slots", "Runs that the worker processes can host.", registry=registry).set(slots)
    Gauge("gateway_paused", "1 while nothing is started.", registry=registry).set(stats["paused"])
    return registry
