"""`manage.py worker`: watches a Django-Q2 cluster and a clock, restarts what dies, drains on SIGTERM.

It holds no database connection and starts no thread, so that nothing but a signal can stop it. If no
canary has come back for ``GATEWAY_WATCHDOG_SECONDS``, or any part died, the part's whole process tree is
killed and started again: killing is always safe, because leases give the work to another attempt.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from typing import TYPE_CHECKING

import psutil
from django.conf import settings
from django.db import connections

from executor import doorbell, kernel, pulse
from executor.clock import Clock
from executor.cluster import run_cluster

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.2
CALM_SECONDS = 10.0
"""A part that lived this long starts again at once; one that did not waits a little longer each time."""
MAX_PAUSE_SECONDS = 30.0
END_SECONDS = 10.0
"""What a drained cluster may take beyond GATEWAY_DRAIN_SECONDS before it is killed."""


class Part:
    """One child process that has to be there."""

    def __init__(self, name: str, body: Callable[[], int | None]) -> None:
        self.name = name
        self.process: multiprocessing.process.BaseProcess | None = None
        self._body = body
        self._started_at = 0.0
        self._start_at = 0.0
        self._pause = 0.0

    def keep(self) -> bool:
        """Start it if it is not there and its pause is over; True if it was started."""
        if self.process is not None and self.process.is_alive():
            return False
        now = time.monotonic()
        if self.process is not None:
            logger.error("The %s ended with code %s; starting it again.", self.name, self.process.exitcode)
            self._after_death(now)
        if now < self._start_at:
            return False
        connections.close_all()
        self.process = multiprocessing.get_context("fork").Process(
            target=_child, args=(self._body, os.getpid()), name=f"gateway {self.name}"
        )
        self.process.start()
        self._started_at = time.monotonic()
        return True

    def kill(self) -> None:
        """Kill it with everything below it."""
        if self.process is None or self.process.pid is None:
            return
        try:
            family = [
                psutil.Process(self.process.pid),
                *psutil.Process(self.process.pid).children(recursive=True),
            ]
        except psutil.NoSuchProcess:
            family = []
        for one in family:
            try:
                one.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.join(5)
        psutil.wait_procs(family, timeout=5)

    def terminate(self) -> None:
        """Ask it to end."""
        if self.process is not None and self.process.is_alive():
            self.process.terminate()

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.is_alive()

    def _after_death(self, now: float) -> None:
        self.kill()
        calm = now - self._started_at > CALM_SECONDS
        self._pause = 0.0 if calm else min(max(self._pause * 2, 0.5), MAX_PAUSE_SECONDS)
        self._start_at = now + self._pause
        self.process = None


class Watchdog:
    """Keeps a cluster and a clock alive until it is told to stop."""

    def __init__(self, processes: int) -> None:
        self._cluster = Part("cluster", lambda: run_cluster(processes))
        self._clock = Part("clock", lambda: Clock().run())
        self._signals = 0

    def run(self) -> int:
        """Watch until SIGTERM or SIGINT, then drain; a second signal ends at once. Returns an exit code."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        while not self._signals:
            if self._cluster.keep():
                pulse.shared.beat()
            self._clock.keep()
            if pulse.shared.age > settings.GATEWAY_WATCHDOG_SECONDS:
                logger.error(
                    "No sign of life from the cluster for %.0f s; killing and restarting it.",
                    pulse.shared.age,
                )
                self._cluster.kill()
                pulse.shared.beat()
            time.sleep(TICK_SECONDS)
        return self._drain()

    def _on_signal(self, number: int, frame: object) -> None:
        self._signals += 1

    def _drain(self) -> int:
        pulse.shared.drain(settings.GATEWAY_DRAIN_SECONDS)
        self._cluster.terminate()
        for topic in ("tasks", "control"):
            doorbell.ring_sockets(topic)
        give_up_at = time.monotonic() + settings.GATEWAY_DRAIN_SECONDS + END_SECONDS
        while self._cluster.alive and time.monotonic() < give_up_at and self._signals < 2:
            time.sleep(0.05)
        in_time = not self._cluster.alive
        self._cluster.kill()
        self._clock.terminate()
        if self._clock.process is not None:
            self._clock.process.join(5)
        self._clock.kill()
        return 0 if in_time else 1


def _child(body: Callable[[], int | None], parent: int) -> None:
    kernel.die_with_parent(parent)
    kernel.leave_group()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os._exit(_code_of(body))


def _code_of(body: Callable[[], int | None]) -> int:
    try:
        return body() or 0
    except Exception:
        logger.exception("A part of the worker failed.")
        return 1
