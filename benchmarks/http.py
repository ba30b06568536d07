"""REST: how soon an agent starts after its request, and how many requests a second are served.

First, 100 tasks are submitted over one kept-alive connection to an idle `manage.py up`, 50 ms apart plus a
little. Measured is the time from the begin of each request to the first line of the agent's code. PostgreSQL
is measured too where it answers (TEST_DATABASE_URL, or the standard local port).

Then requests per second of the web process alone, on SQLite, from 8 connections that ask without a pause:
submitting a task, getting one, and reading 100 events. Beside it the same endpoints over the same database as
plain viewsets of Django REST framework (benchmarks/plain_rest): default serializers and page numbers, the
same look-up of the API key, the middleware of `startproject`, on daphne by Django's own ASGI application. The
two take turns; shown is the median of the rounds. CPU is what the server's process took for a request.

Command: python -m benchmarks http
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.report import percentile, ratio, table
from benchmarks.systems import LOAD_SECONDS, ROOT, Load, gateway, postgres
from benchmarks.web_server import WebServer, free_port, gateway_web, plain_web

TASKS = 100
GAP_SECONDS = 0.0517
"""Not a divisor of anyone's polling interval."""
CLIENTS = 8
ROUNDS = 5
REQUESTS = {"submit": 200, "get": 300, "100 events": 200}
"""Requests a round and server."""

Requests = list[tuple[str, str, str]]


@dataclass(frozen=True)
class Rate:
    """What one round told."""

    per_second: float
    cpu_ms: float


def run() -> None:
    """Measure and print."""
    loads = {}
    with gateway(port=free_port()) as system:
        loads[system.name] = system.load("no_op", TASKS, gap=GAP_SECONDS)
    with postgres() as url:
        if url:
            with gateway(url, port=free_port()) as system:
                loads[system.name] = system.load("no_op", TASKS, gap=GAP_SECONDS)
    table(
        f"http: ms from a request to the agent's first line, {TASKS} paced submits",
        [("system", "p50", "p95", "max", "answered p50"), *[_latency(*one) for one in loads.items()]],
    )
    with gateway(started=False) as system:
        rates = _rates(system.environment)
    head = ("requests", "Gateway/s", "plain/s", "as many", "Gateway CPU ms", "plain CPU ms")
    rows = [_rate(what, *some) for what, some in rates.items()]
    table(f"http: requests a second from {CLIENTS} connections, SQLite", [head, *rows])


def _rates(environment: Mapping[str, str]) -> dict[str, tuple[list[Rate], list[Rate]]]:
    rates: dict[str, tuple[list[Rate], list[Rate]]] = {what: ([], []) for what in REQUESTS}
    rows = _rows(environment, 2 * (ROUNDS + 1) * REQUESTS["submit"])
    traces = iter(rows["traces"])
    with gateway_web(environment) as ours, plain_web(environment) as plain:
        for number in range(ROUNDS + 1):
            for what, (of_ours, of_plain) in rates.items():
                here = _measure(ours, rows["key"], _ours(what, rows["task"], traces))
                there = _measure(plain, rows["key"], _plain(what, rows["task"], traces))
                if number:  # the first round warms up
                    of_ours.append(here)
                    of_plain.append(there)
    return rates


def _rows(environment: Mapping[str, str], traces: int) -> dict[str, Any]:
    argv = [sys.executable, "-m", "benchmarks.http_rows", str(traces)]
    done = subprocess.run(argv, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    rows: dict[str, Any] = json.loads(done.stdout)
    return rows


def _ours(what: str, task: str, traces: Iterator[str]) -> Requests:
    count = REQUESTS[what]
    if what == "submit":
        return [("POST", "/api/v1/tasks", _body(trace_id=next(traces))) for _ in range(count)]
    return [("GET", f"/api/v1/tasks/{task}{'' if what == 'get' else '/events'}", "")] * count


def _plain(what: str, task: str, traces: Iterator[str]) -> Requests:
    count = REQUESTS[what]
    if what == "submit":
        return [("POST", "/tasks", _body(trace=next(traces))) for _ in range(count)]
    return [("GET", f"/tasks/{task}{'' if what == 'get' else '/events'}", "")] * count


def _body(**fields: str) -> str:
    return json.dumps({**fields, "description": "分析销售数据", "input": {"file": "sales.csv"}})


def _measure(server: WebServer, key: str, requests: Requests) -> Rate:
    plan = {"port": server.port, "key": key, "clients": CLIENTS, "requests": requests}
    before = server.cpu()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.http_client"],
        cwd=ROOT, check=True, input=json.dumps(plan).encode(), stdout=subprocess.PIPE, timeout=LOAD_SECONDS,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert set(told["statuses"]) <= {"200", "201"}, f"{server.name}: {told['statuses']}"
    cpu_ms = (server.cpu() - before) * 1000 / len(requests)
    return Rate(len(requests) / told["seconds"], cpu_ms)


def _latency(name: str, load: Load) -> tuple[str, ...]:
    times = load.latencies
    answered = percentile(sorted(load.took), 0.5) * 1000
    shown = [percentile(times, 0.5), percentile(times, 0.95), times[-1], answered]
    return (name, *[f"{value:.1f}" for value in shown])


def _rate(what: str, ours: list[Rate], plain: list[Rate]) -> tuple[str, ...]:
    here, there = (median(one.per_second for one in rates) for rates in (ours, plain))
    cpu = (median(one.cpu_ms for one in rates) for rates in (ours, plain))
    return (what, f"{here:.0f}", f"{there:.0f}", ratio(here, there), *[f"{value:.2f}" for value in cpu])
