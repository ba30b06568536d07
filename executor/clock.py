"""The clock: what has to happen by itself, a little every tick. Any number of clocks may run."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import threading
import time
from datetime import timedelta

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection
from django.utils import timezone

from executor import kernel
from executor.models import Worker
from executor.reaper import Reaper

logger = logging.getLogger(__name__)

BEAT_SECONDS = 3.0
SWEEP_SECONDS = 10.0
FORGET_WORKERS_AFTER = timedelta(minutes=10)


class Clock:
    """Reaps lost attempts and keeps the list of live workers."""

    def __init__(self) -> None:
        self._host = kernel.host_id()
        self._name = f"{self._host.split('/')[0]}-{os.getpid()}-{secrets.token_hex(2)}"
        self._reaper = Reaper()
        self._stop = threading.Event()
        self._beat_at = self._sweep_at = 0.0

    def run(self) -> None:
        """Tick until SIGTERM."""
        signal.signal(signal.SIGTERM, lambda *_: self._stop.set())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            try:
                self._tick()
            except DatabaseError as exc:
                logger.warning("The clock cannot reach the database: %s", exc)
                close_old_connections()
            if self._stop.wait(settings.GATEWAY_REAPER_SECONDS):
                break
        self._leave()

    def _tick(self) -> None:
        now = time.monotonic()
        if now >= self._beat_at:
            self._beat()
            self._beat_at = now + BEAT_SECONDS
        self._reaper.reap()
        if now >= self._sweep_at:
            self._reaper.sweep()
            self._sweep_at = now + SWEEP_SECONDS

    def _beat(self) -> None:
        now = timezone.now()
        Worker.objects.update_or_create(
            name=self._name,
            defaults={"kind": Worker.Kind.CLOCK, "host": self._host, "pid": os.getpid(), "seen_at": now},
        )
        Worker.objects.filter(seen_at__lt=now - FORGET_WORKERS_AFTER).delete()

    def _leave(self) -> None:
        try:
            Worker.objects.filter(name=self._name).delete()
            connection.close()
        except DatabaseError as exc:
            logger.warning("The clock could not sign off: %s", exc)
