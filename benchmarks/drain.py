"""How fast a backlog of tasks that do nothing is worked off by two worker processes.

2,000 tasks lie ready before the workers start. Measured is the rate from the first line of the first agent to
the last line of the last one. Each of Gateway's tasks leaves its whole durable log (submitted, started,
completed), its attempt and its lease. Beside it Django-Q2 with its ORM broker on SQLite and two workers.

Command: python -m benchmarks drain
"""

from __future__ import annotations

import time

from benchmarks.report import ratio, table
from benchmarks.systems import System, gateway, stock

TASKS = 2_000
LIMIT_SECONDS = 300


def run() -> None:
    """Measure and print."""
    with gateway(started=False) as system:
        name, ours, submits = system.name, *_drain(system)
    with stock(2, started=False) as system:
        peer, peer_submits = _drain(system)
    table(
        f"drain: {TASKS:,} tasks that do nothing, 2 worker processes",
        [
            ("system", "submits/s", "tasks/s", "of the peer's"),
            (name, f"{submits:.0f}", f"{ours:.0f}", ratio(ours, peer)),
            ("Django-Q2, 2 workers", f"{peer_submits:.0f}", f"{peer:.0f}", ""),
        ],
    )


def _drain(system: System) -> tuple[float, float]:
    load = system.load("no_op", TASKS, wait=False)
    system.start()
    give_up_at = time.monotonic() + LIMIT_SECONDS
    while len(ran := system.ran()) < TASKS:
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"{system.name} ran {len(ran):,} of {TASKS:,} tasks in {LIMIT_SECONDS} s.")
        time.sleep(0.2)
    seconds = max(one.ended for one in ran.values()) - min(one.started for one in ran.values())
    return TASKS / seconds, TASKS / (load.last - load.first)
