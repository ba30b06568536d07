"""How soon an agent starts in an idle system, beside Django-Q2 as it comes.

After a warm-up, 100 tasks are submitted 50 ms apart plus a little, each into an idle system. Measured is the
time from the commit of a task to the first line of the agent's code, both by wall clock. Beside it the same
for a plain function under Django-Q2 with its ORM broker on SQLite and its defaults, in the same run.
PostgreSQL is measured too where it answers (TEST_DATABASE_URL, or the standard local port).

Command: python -m benchmarks start
"""

from __future__ import annotations

from benchmarks.report import percentile, ratio, table
from benchmarks.systems import Load, gateway, postgres, stock

TASKS = 100
GAP_SECONDS = 0.0517
"""Not a divisor of anyone's polling interval."""


def run() -> None:
    """Measure and print."""
    with gateway() as system:
        loads = {system.name: system.load("no_op", TASKS, gap=GAP_SECONDS)}
    with postgres() as url:
        if url:
            with gateway(url) as system:
                loads[system.name] = system.load("no_op", TASKS, gap=GAP_SECONDS)
    with stock() as system:
        peer = system.load("no_op", TASKS, gap=GAP_SECONDS)
        loads[system.name] = peer
    rows = [_row(name, load, peer) for name, load in loads.items()]
    table(
        f"start: ms from commit to the first line, {TASKS} paced tasks",
        [("system", "p50", "p95", "max", "peer's p50 is"), *rows],
    )


def _row(name: str, load: Load, peer: Load) -> tuple[str, ...]:
    times = load.latencies
    p50 = percentile(times, 0.5)
    return (
        name,
        f"{p50:.1f}",
        f"{percentile(times, 0.95):.1f}",
        f"{times[-1]:.1f}",
        ratio(percentile(peer.latencies, 0.5), p50),
    )
