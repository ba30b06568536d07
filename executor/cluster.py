"""Hosts a Django-Q2 cluster with the three things that it lacks to live through any ``kill -9``.

Death-safe queue locks (the kernel frees them when their holder dies: stock, the death of an idle worker
stops the cluster for ever), death with the parent for every process, and process groups of their own, so
that a signal to the starter's group reaches the watchdog alone, which drains.
"""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
import time
from typing import Any

from django.db import connections
from django_q import queues
from django_q.cluster import Cluster
from django_q.conf import Conf
from django_q.signals import post_spawn

from executor import kernel
from executor.worker import WorkerProcess


class RecordLock:
    """A lock between processes by a POSIX record lock on an unnamed file; freed when its holder dies."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the lock lives

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        waits = block and timeout is None
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                return False
            except OSError as exc:
                # The kernel takes all threads of a process for one, and so sees a deadlock where a worker's
                # main thread holds one lock and its feeder waits for another. Both are let go soon.
                if exc.errno != errno.EDEADLK:
                    raise
            time.sleep(0.001)

    def release(self) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()


class DeathSafeQueue(queues.Queue):
    """Django-Q2's queue, with locks that die with their holder."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rlock = RecordLock()
        self._wlock = RecordLock()
        self._reset()  # the feeder binds the lock's methods


def run_cluster(processes: int) -> int:
    """Run a cluster of ``processes`` workers here until it is told to stop; returns an exit code."""
    _prepare(processes)
    connections.close_all()
    cluster = Cluster()
    cluster.start()
    sentinel = cluster.sentinel
    sentinel.join()
    # A sentinel that died took its children along, so this cluster is over; the watchdog starts another.
    return 0 if sentinel.exitcode == 0 else 1


def _prepare(processes: int) -> None:
    import django_q.cluster

    django_q.cluster.Queue = DeathSafeQueue
    Conf.WORKERS = processes
    _tie_children()
    post_spawn.connect(_start_worker, dispatch_uid="gateway")


def _tie_children() -> None:
    """Every process forked from here on dies with the one that forked it, in a group of its own."""
    parent = os.getpid()

    def before() -> None:
        nonlocal parent
        parent = os.getpid()

    def in_child() -> None:
        kernel.die_with_parent(parent)
        kernel.leave_group()

    os.register_at_fork(before=before, after_in_child=in_child)


def _start_worker(**kwargs: Any) -> None:
    WorkerProcess.start()
