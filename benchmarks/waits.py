"""How many agents can wait at once: 500 tasks of 2 s each, and what they cost in memory.

The tasks are submitted one after the other by a plain script, as fast as it can, and wait 2 s as for a
model's answer. Measured: seconds until the last is done, from the begin of the first submit and from the end
of the last; start latency within the burst; how many ran at once; the memory of all processes of
`manage.py worker` (PSS: shared pages are counted once), idle and at its highest.

Beside it Django-Q2, whose functions block: with its default of a worker for each core, and with 20 workers.
There fewer tasks are run, to keep the time bounded; "500 would take" is reckoned from these, not measured.

Command: python -m benchmarks waits
"""

from __future__ import annotations

import time

from benchmarks.recorded import peak
from benchmarks.report import percentile, ratio, table
from benchmarks.systems import System, gateway, stock

TASKS = 500
HEAD = ("system", "tasks", "done s", "after last s", "500 take s", "p50 ms", "p95 ms")
HEAD_MEMORY = ("peak at once", "idle MiB", "peak MiB")


def run() -> None:
    """Measure and print."""
    with gateway() as system:
        ours, seconds = _measure(system, TASKS, 0.0)
    rows = [(*ours, "")]
    for workers, count in ((None, 12), (20, 40)):
        with stock(workers) as system:
            row, would_take = _measure(system, count, seconds)
            rows.append((*row, ratio(would_take, seconds)))
    table("waits: agents that wait 2 s", [(*HEAD, *HEAD_MEMORY, "as long"), *rows])
    print("  ~ reckoned from fewer tasks, not measured")


def _measure(system: System, count: int, ours: float) -> tuple[tuple[str, ...], float]:
    time.sleep(1)
    idle = system.memory()
    with system.watched() as memory:
        load = system.load("wait", count)
    took = load.done - load.first
    reckoned = took * TASKS / count
    row = (
        system.name,
        str(count),
        f"{took:.2f}",
        f"{load.done - load.last:.2f}",
        f"{'~' if count < TASKS else ''}{reckoned:.2f}",
        f"{percentile(load.latencies, 0.5):.0f}",
        f"{percentile(load.latencies, 0.95):.0f}",
        str(peak(load.ran)),
        f"{idle:.0f}",
        f"{max(memory, default=0):.0f}",
    )
    return row, reckoned
