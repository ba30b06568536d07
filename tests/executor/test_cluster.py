"""The locks of Django-Q2's queues, between real processes."""

from __future__ import annotations

import multiprocessing
import threading
import time

import pytest

from executor.cluster import RecordLock

FORK = multiprocessing.get_context("fork")
LIMIT_SECONDS = 20


@pytest.fixture
def locks():
    """Two locks."""
    return RecordLock(), RecordLock()


def test_crossed_waits_of_two_threads_of_a_process_are_no_deadlock(locks):
    (tasks, results), held = locks, FORK.Event()

    def other_worker():
        with results:
            held.set()
            with tasks:
                pass

    tasks.acquire()
    other = FORK.Process(target=other_worker)
    other.start()
    assert held.wait(LIMIT_SECONDS)
    feeder = threading.Thread(target=results.acquire, daemon=True)
    feeder.start()
    time.sleep(0.2)  # both wait for each other now, as the kernel sees it
    tasks.release()

    other.join(LIMIT_SECONDS)
    feeder.join(LIMIT_SECONDS)
    assert other.exitcode == 0
    assert not feeder.is_alive()


def test_a_lock_is_free_once_its_holder_was_killed(locks):
    lock, held = locks[0], FORK.Event()

    def holder():
        lock.acquire()
        held.set()
        time.sleep(LIMIT_SECONDS)

    process = FORK.Process(target=holder)
    process.start()
    assert held.wait(LIMIT_SECONDS)
    assert not lock.acquire(block=False)
    process.kill()
    process.join(LIMIT_SECONDS)

    assert lock.acquire(block=False)
