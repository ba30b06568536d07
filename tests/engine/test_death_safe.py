"""The queue and the timers of the cluster outlive any process that holds them."""

import fcntl
import os
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from executor.cluster import RECORD_BYTES, DeathSafeQueue, DeathSafeTimer, RecordLock

DEADLINE = 30

pytestmark = pytest.mark.sqlite  # no database matters here


@pytest.fixture
def queue() -> Iterator[DeathSafeQueue]:
    made = DeathSafeQueue()
    yield made
    made.cancel_join_thread()
    made.close()


def _in_child(body: Callable[[], object]) -> int:
    """Run ``body`` in a forked process; returns its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            body()
        finally:
            os._exit(0)
    return pid


def _die_holding(lock: RecordLock) -> None:
    lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_lock_is_free_again_when_its_holder_dies():
    lock = RecordLock()
    os.waitpid(_in_child(lambda: _die_holding(lock)), 0)

    assert lock.acquire()


def test_a_timer_is_free_again_when_its_holder_dies():
    timer = DeathSafeTimer("f", -1)
    os.waitpid(_in_child(lambda: _die_holding(timer.get_lock())), 0)

    with timer.get_lock():
        timer.value -= 0.5
    assert timer.value == -1.5


def test_a_timer_is_shared_between_processes():
    timer = DeathSafeTimer("f", -1)

    os.waitpid(_in_child(lambda: setattr(timer, "value", 63)), 0)

    assert timer.value == 63


def test_a_message_is_taken_whole_or_not_at_all(queue):
    for number in range(10):
        queue.put({"number": number})
    give_up_at = time.monotonic() + DEADLINE
    while _waiting(queue) < 10 * RECORD_BYTES:  # the feeder writes them one after another
        assert time.monotonic() < give_up_at
        time.sleep(0.01)

    os.read(queue._reader.fileno(), RECORD_BYTES)  # what a reader does that dies right after its read

    assert [queue.get()["number"] for _ in range(9)] == list(range(1, 10))


def _waiting(queue: DeathSafeQueue) -> int:
    """Bytes in the queue's pipe."""
    return int.from_bytes(fcntl.ioctl(queue._reader.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder)


TEXT = "x" * 200


def _read(queue: DeathSafeQueue, answers: int) -> None:
    """Tell for each message whether it is whole, in a process as busy as a worker's."""
    threading.Thread(target=_spin, daemon=True).start()
    try:
        while True:
            os.write(answers, {TEXT: b".", "last": b"L"}.get(queue.get(), b"!"))
    except BaseException:
        os.write(answers, b"!")


def _spin() -> None:
    while True:
        pass


def test_readers_that_are_killed_at_any_moment_leave_the_others_whole_messages(queue):
    seen, answers = os.pipe()
    readers = [_in_child(lambda: _read(queue, answers)) for _ in range(3)]
    for number in range(400):
        queue.put(TEXT)
        time.sleep(0.001)
        if number % 10 == 9:
            os.kill(readers[0], signal.SIGKILL)
            os.waitpid(readers.pop(0), 0)
            readers.append(_in_child(lambda: _read(queue, answers)))
    queue.put("last")

    received = b""
    while b"L" not in received and b"!" not in received:
        received += os.read(seen, 65536)

    for reader in readers:
        os.kill(reader, signal.SIGKILL)
        os.waitpid(reader, 0)
    os.close(seen)
    os.close(answers)
    assert b"!" not in received


def test_a_message_that_fits_no_record_is_dropped_and_the_next_one_arrives(queue, capfd):
    queue.put("x" * 10_000)
    queue.put("short")

    assert queue.get() == "short"
    assert "does not fit" in capfd.readouterr().err


def test_locks_of_two_threads_of_two_processes_are_no_deadlock():
    """Each process holds one lock in one thread and waits for the other's in another thread."""
    first, second = RecordLock(), RecordLock()
    told, tell = os.pipe()

    def child() -> None:
        second.acquire()
        os.write(tell, b"h")
        waiting = threading.Thread(target=first.acquire)
        waiting.start()
        time.sleep(0.3)
        second.release()
        waiting.join()

    with first:
        pid = _in_child(child)
        assert os.read(told, 1) == b"h"
        thread = threading.Thread(target=second.acquire)
        thread.start()
        thread.join(DEADLINE / 2)
        assert not thread.is_alive()
    os.waitpid(pid, 0)
    os.close(told)
    os.close(tell)
