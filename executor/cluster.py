"""Hosts a Django-Q2 cluster with the three things that it lacks to live through any ``kill -9``.

Death-safe queues and timers (stock, a process that dies with one of their locks in its hand, or half-way
through a message, stops the cluster for ever), death with the parent for every process, and process groups
of their own, so that a signal to the starter's group reaches the watchdog alone, which drains.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import select
import struct
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

RECORD_BYTES = select.PIPE_BUF
"""What the kernel writes into a pipe, and so reads from it, as a whole or not at all."""
LENGTH = struct.Struct("!I")


class RecordLock:
    """A lock between processes by a POSIX record lock on an unnamed file; freed when its holder dies."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile() as file:
            self._file = os.dup(file.fileno())

    def __del__(self) -> None:
        os.close(self._file)

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
    """Django-Q2's queue, such that no process can take it along when it dies.

    Its locks die with their holder, and it counts nothing under a lock. A message is one record of a fixed
    size, written by one system call and read by one: stock, a reader that dies between a message's length
    and its content leaves the rest to be taken for a length by the next one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.size = _NoCounter()
        self._rlock = RecordLock()
        self._wlock = RecordLock()
        self._reset()  # the feeder binds the lock's methods

    def _reset(self, after_fork: bool = False) -> None:
        super()._reset(after_fork)
        self._send_bytes = self._write_record
        self._recv_bytes = self._read_record

    def _write_record(self, message: bytes) -> None:
        size = len(message)
        if size > RECORD_BYTES - LENGTH.size:
            raise ValueError(f"A message of {size} bytes does not fit into a record of {RECORD_BYTES}.")
        os.write(self._writer.fileno(), (LENGTH.pack(size) + message).ljust(RECORD_BYTES, b"\0"))

    def _read_record(self) -> bytes:
        record = os.read(self._reader.fileno(), RECORD_BYTES)
        if not record:
            raise EOFError
        (size,) = LENGTH.unpack_from(record)
        return record[LENGTH.size : LENGTH.size + size]


class _NoCounter:
    """In place of the counter behind ``qsize()``, which only statistics read."""

    value = 0

    def increment(self, n: int = 1) -> None:
        """Count nothing."""


class DeathSafeTimer:
    """In place of ``multiprocessing.Value``: a worker's time left, under a lock that dies with its holder.

    The sentinel takes this lock in each round: stock, it stands still for ever if a worker dies with it.
    """

    def __init__(self, typecode: str, value: float) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self._number = memoryview(self._memory).cast("d")
        self._lock = RecordLock()
        self.value = value

    @property
    def value(self) -> float:
        """The number; written whole by one process at a time."""
        return float(self._number[0])

    @value.setter
    def value(self, value: float) -> None:
        self._number[0] = value

    def get_lock(self) -> RecordLock:
        """The lock under which it is read and changed together."""
        return self._lock


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
    django_q.cluster.Value = DeathSafeTimer
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
