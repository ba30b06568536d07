"""Anything dies at any time, under load. In the end every task is final, once, and its history is clean.

``CHAOS_SECONDS=600`` makes it longer; ``CHAOS_SEED`` repeats a choice of victims (not of moments).
"""

import contextlib
import os
import random
import signal
import time

import psutil
import pytest

from tests.engine.installation import Installation, Tree

SECONDS = float(os.environ.get("CHAOS_SECONDS", 10))
SEED = int(os.environ.get("CHAOS_SEED", time.time_ns() % 100_000))
KINDS = ("waits", "waits", "waits", "chatty", "chatty", "plain", "writes_late", "family", "late_worker")


class Monkey:
    """Submits, cancels and kills at random."""

    def __init__(self, here: Installation) -> None:
        self.here = here
        self.random = random.Random(SEED)  # noqa: S311 - chance, no secret
        self.gate = here.gate()
        self.gate.touch()  # nothing waits but for its seconds
        self.ids: list[str] = []
        self.cancelled: set[str] = set()
        self.deeds: list[str] = []

    def act(self, trees: list[Tree]) -> None:
        deed = self.random.choice([self.submit, self.submit, self.kill, self.kill, self.freeze, self.cancel])
        deed(trees)

    def submit(self, trees: list[Tree]) -> None:
        kind = self.random.choice(KINDS)
        count = self.random.randint(1, 6) if kind in ("waits", "chatty") else 1
        self.ids += self.here.submit(
            kind, self.gate, count=count, seconds=self.random.uniform(0, 2), max_attempts=100
        )

    def kill(self, trees: list[Tree]) -> None:
        family = list(self.random.choice(trees).everyone())
        if family:
            victim = self.random.choice(family)
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
                self.deeds.append(f"killed {victim.pid}")

    def freeze(self, trees: list[Tree]) -> None:
        workers = self.random.choice(trees).workers()
        if workers:
            victim = self.random.choice(workers)
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.send_signal(signal.SIGSTOP)
                time.sleep(self.random.uniform(0, 0.5))
                victim.send_signal(signal.SIGCONT)
                self.deeds.append(f"froze {victim.pid}")

    def cancel(self, trees: list[Tree]) -> None:
        if self.ids:
            task_id = self.random.choice(self.ids[-20:])
            self.cancelled.add(task_id)
            self.here.probe("cancel", task_id=task_id)


@pytest.mark.timeout(SECONDS * 2 + 180)
def test_whatever_is_killed_under_load_every_task_ends_once(installation: Installation):
    here = installation
    trees = [here.start(GATEWAY_LEASE_SECONDS=2, GATEWAY_WATCHDOG_SECONDS=5) for _ in range(2)]
    monkey = Monkey(here)
    print(f"CHAOS_SEED={SEED}")  # noqa: T201 - pytest shows it when the test fails
    stop_at = time.monotonic() + SECONDS
    while time.monotonic() < stop_at:
        monkey.act(trees)
        for index, tree in enumerate(trees):
            if tree.process.poll() is not None:  # what a service manager does
                trees[index] = here.start(settle=False, GATEWAY_LEASE_SECONDS=2, GATEWAY_WATCHDOG_SECONDS=5)
        time.sleep(monkey.random.uniform(0, 0.2))

    def unfinished() -> list[list[object]]:
        rows = here.probe("statuses", ids=monkey.ids)
        return [row for row in rows if row[0] not in ("completed", "cancelled", "failed")]

    here.until(lambda: not unfinished(), "every task is final", unfinished, seconds=90)
    rows = dict(zip(monkey.ids, here.probe("statuses", ids=monkey.ids), strict=True))
    assert len(rows) > SECONDS
    assert not [row for row in rows.values() if row[0] == "failed"], monkey.deeds
    assert not [one for one, row in rows.items() if row[0] == "cancelled" and one not in monkey.cancelled]
    assert sum(deed.startswith("killed") for deed in monkey.deeds) > SECONDS / 5
    for tree in trees:
        if tree.process.poll() is None:
            tree.settle()
    here.run(count=3)
