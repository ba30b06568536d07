"""Fan-out: how long until one event of a task has reached the last of N sockets.

N clients follow one task, 200 and then 1,000 (if that many files may be open). Every event, 0.1 s after the
last, is written to the log by a process of its own, as a worker writes it; measured is the time from before
its transaction to the moment at which the last client has it. Beside it the same frame from a bare server of
the library `websockets`, which has nothing to look up: it broadcasts what it is told. The clients, in one
process, are the same for both and know just enough of the protocol, so that they cost little.

Command: python -m benchmarks fanout
"""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.report import percentile, ratio, table
from benchmarks.systems import ROOT, gateway
from benchmarks.web_server import free_port, gateway_web

SOCKETS = (200, 1_000)
EVENTS = 20
WARM_UP = 2
PAUSE_SECONDS = 0.1
"""Before each event: the system is idle."""
SPARE_FILES = 200

Times = dict[int, list[float]]


def run() -> None:
    """Measure and print."""
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES
    counts = [count for count in SOCKETS if count <= room]
    ours = _gateway(counts)
    bare = _bare(counts)
    rows = []
    for count in counts:
        rows.append(_row("Gateway, SQLite", count, ours[count], bare[count]))
        rows.append(_row("bare websockets", count, bare[count], bare[count]))
    head = ("system", "sockets", "p50", "p95", "max", "deliveries/s", "of bare")
    table(f"fanout: ms until the last socket has an event, {EVENTS} events", [head, *rows])


def _gateway(counts: list[int]) -> Times:
    with (
        gateway(started=False) as system,
        gateway_web(system.environment) as web,
        _process("benchmarks.fanout_writer", system.environment) as writer,
    ):
        told = json.loads(_line(writer))
        address = {"port": web.port, "path": f"/ws/tasks/{told['task']}?after=2", "key": told["key"]}
        # Each round's clients start after what was said before.
        return {count: _round(writer, count, address | {"state": True}) for count in counts}


def _bare(counts: list[int]) -> Times:
    port = free_port()
    with _process("benchmarks.bare_sockets", None, str(port)) as server:
        _line(server)
        return {
            count: _round(server, count, {"port": port, "path": "/", "key": "", "state": False})
            for count in counts
        }


def _round(teller: subprocess.Popen[str], count: int, address: Mapping[str, Any]) -> list[float]:
    with _process("benchmarks.fanout_clients", None, json.dumps({**address, "count": count})) as clients:
        assert _line(clients) == "ready"
        times = [_tell(teller, clients) for _ in range(WARM_UP + EVENTS)]
    return sorted(times[WARM_UP:])


def _tell(teller: subprocess.Popen[str], clients: subprocess.Popen[str]) -> float:
    time.sleep(PAUSE_SECONDS)
    assert teller.stdin is not None
    teller.stdin.write("\n")
    teller.stdin.flush()
    began = float(_line(teller))
    return (float(_line(clients)) - began) * 1000


@contextlib.contextmanager
def _process(
    module: str, environment: Mapping[str, str] | None, *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        stdin=pipe,
        stdout=pipe,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, "it ended"
    return line


def _row(name: str, count: int, times: list[float], bare: list[float]) -> tuple[str, ...]:
    p50 = percentile(times, 0.5)
    shown = [f"{value:.1f}" for value in (p50, percentile(times, 0.95), times[-1])]
    of_bare = "" if times is bare else ratio(p50, percentile(bare, 0.5))
    return (name, str(count), *shown, f"{count / p50 * 1000:,.0f}", of_bare)
