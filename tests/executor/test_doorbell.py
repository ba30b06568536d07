"""Wake-ups between processes: lost and doubled rings, dead listeners, long paths, NOTIFY."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection, transaction

from executor import doorbell
from tests import make
from tests.threads import together

pytestmark = pytest.mark.django_db(transaction=True)
SOON = 30.0
"""Longer than any ring takes; a test that waits this long has failed."""
AT_ONCE = 0.05


@pytest.fixture
def listen() -> Iterator[Callable[[doorbell.Topic], doorbell.Listener]]:
    """Listeners that hear from now on, and are closed afterwards."""
    made: list[doorbell.Listener] = []

    def listen(topic: doorbell.Topic) -> doorbell.Listener:
        listener = doorbell.listen(topic)
        listener.wait(AT_ONCE)  # on PostgreSQL it begins to hear with the first wait
        made.append(listener)
        return listener

    yield listen
    for listener in made:
        listener.close()


def bells(data_dir: Path) -> list[str]:
    return sorted(os.listdir(data_dir / "bells"))


# --- On both databases -------------------------------------------------------------------------------------


def test_a_ring_is_heard(listen):
    listener = listen("tasks")

    doorbell.ring("tasks")

    assert listener.wait(SOON)


def test_a_ring_before_the_wait_is_remembered(listen):
    listener = listen("tasks")
    for _ in range(50):
        doorbell.ring("tasks")

    assert listener.wait(SOON)


def test_without_a_ring_a_wait_ends_with_its_time(listen):
    assert not listen("tasks").wait(AT_ONCE)


def test_many_rings_are_one_wake_up(listen):
    listener = listen("tasks")
    with transaction.atomic():
        for _ in range(100):
            doorbell.ring("tasks")

    assert listener.wait(SOON)
    assert not listener.wait(AT_ONCE)


def test_topics_do_not_mix(listen):
    listener = listen("control")

    doorbell.ring("tasks")
    doorbell.ring("news")

    assert not listener.wait(AT_ONCE)


def test_everyone_who_listens_hears(listen):
    listeners = [listen("news") for _ in range(3)]

    doorbell.ring("news")

    assert all(listener.wait(SOON) for listener in listeners)


def test_a_ring_is_heard_once_the_transaction_has_committed(listen):
    listener = listen("tasks")

    with transaction.atomic():
        doorbell.ring("tasks")
        assert not listener.wait(AT_ONCE)

    assert listener.wait(SOON)


def test_a_transaction_that_is_rolled_back_rings_nobody(listen):
    listener = listen("tasks")

    with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012 - both belong to the block
        doorbell.ring("tasks")
        raise ZeroDivisionError

    assert not listener.wait(AT_ONCE)


def test_a_ring_wakes_a_waiting_thread(listen):
    listener = listen("tasks")

    heard, _ = together(lambda: listener.wait(SOON), lambda: doorbell.ring("tasks"))

    assert heard


def test_ringing_when_nobody_listens_is_no_error():
    doorbell.ring("tasks")


def test_the_verbs_ring(listen):
    tasks, news, control = listen("tasks"), listen("news"), listen("control")

    task = make.a_task()
    assert (tasks.wait(SOON), news.wait(SOON)) == (True, True)
    make.a_claim(task)
    assert news.wait(SOON)
    make.manager.cancel_task(task.pk)

    assert control.wait(SOON)


# --- Sockets, for SQLite -----------------------------------------------------------------------------------


@pytest.fixture
def ear() -> Iterator[doorbell.SocketListener]:
    listener = doorbell.SocketListener("tasks")
    yield listener
    listener.close()


def test_a_listener_that_closes_leaves_nothing_behind(data_dir):
    listener = doorbell.SocketListener("tasks")
    assert len(bells(data_dir)) == 1

    listener.close()

    assert bells(data_dir) == []


def test_the_folder_of_bells_is_private(data_dir, ear):
    assert (data_dir / "bells").stat().st_mode & 0o777 == 0o700


def test_the_socket_of_a_dead_process_is_removed_and_holds_up_nobody(data_dir, ear):
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    descriptor = os.open(data_dir / "bells", os.O_RDONLY)
    dead.bind(f"/proc/self/fd/{descriptor}/tasks-0-dead")
    os.close(descriptor)
    dead.close()
    assert "tasks-0-dead" in bells(data_dir)

    doorbell.ring_sockets("tasks")

    assert ear.wait(SOON)
    assert bells(data_dir) == [ear.path.name]


def test_a_listener_whose_buffer_is_full_holds_up_nobody(ear):
    slow = doorbell.SocketListener("tasks")
    for _ in range(5000):
        doorbell.ring_sockets("tasks")

    assert ear.wait(SOON)
    assert slow.wait(SOON)
    slow.close()


def test_a_file_that_is_no_socket_holds_up_nobody(data_dir, ear):
    (data_dir / "bells" / "tasks-note").write_text("not a socket")

    doorbell.ring_sockets("tasks")

    assert ear.wait(SOON)


@pytest.mark.parametrize("length", [1, 40, 90, 150, 240])
def test_a_data_folder_with_a_long_path_works(tmp_path, settings, length):
    settings.GATEWAY_DATA_DIR = tmp_path / ("d" * length)
    settings.GATEWAY_DATA_DIR.mkdir()
    listener = doorbell.SocketListener("news")

    doorbell.ring_sockets("news")

    assert listener.wait(SOON)
    listener.close()


def test_a_short_path_is_used_as_it_is(tmp_path_factory, settings):
    folder = Path("/tmp") / f"gateway-bells-{os.getpid()}"
    folder.mkdir()
    settings.GATEWAY_DATA_DIR = folder
    listener = doorbell.SocketListener("news")
    try:
        doorbell.ring_sockets("news")
        assert listener.wait(SOON)
    finally:
        listener.close()
        (folder / "bells").rmdir()
        folder.rmdir()


def test_a_listener_may_close_while_others_ring(ear):
    stop = threading.Event()

    def come_and_go():
        for _ in range(200):
            doorbell.SocketListener("tasks").close()
        stop.set()

    def ring():
        while not stop.is_set():
            doorbell.ring_sockets("tasks")

    together(come_and_go, ring)

    assert ear.wait(SOON)


# --- NOTIFY, for PostgreSQL --------------------------------------------------------------------------------


def end_listening_connections() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.postgres
def test_a_listener_whose_connection_was_dropped_listens_again(listen):
    listener = listen("tasks")
    end_listening_connections()
    assert not listener.wait(AT_ONCE)  # it noticed, and whoever waits looks by itself

    assert listener.wait(SOON)  # it listens again, and says "look once" for what it may have missed
    doorbell.ring("tasks")

    assert listener.wait(SOON)


@pytest.mark.postgres
def test_a_new_listener_says_look_once_for_what_came_before():
    listener = doorbell.listen("tasks")

    assert listener.wait(SOON)
    assert not listener.wait(AT_ONCE)
    listener.close()


@pytest.mark.postgres
def test_a_notification_carries_nothing():
    with connection.cursor() as cursor:
        cursor.execute("LISTEN gateway_tasks")
        doorbell.ring("tasks")
        assert connection.connection is not None
        heard = list(connection.connection.notifies(timeout=SOON, stop_after=1))
        cursor.execute("UNLISTEN *")

    assert [one.payload for one in heard] == [""]
