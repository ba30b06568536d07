"""The database is locked, slow or gone for a while: nothing is lost, nothing gives up."""

import contextlib
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.engine.installation import Installation, Probe, alive


@contextlib.contextmanager
def _locked(here: Installation) -> Iterator[None]:
    """Nobody else can write meanwhile."""
    connection = sqlite3.connect(here.folder / "gateway.sqlite3", isolation_level=None, timeout=30)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


@pytest.mark.sqlite
def test_a_locked_database_loses_nothing(installation: Installation):
    here = installation
    tree = here.start(GATEWAY_LEASE_SECONDS=2, GATEWAY_WATCHDOG_SECONDS=4)
    workers = {one.pid for one in tree.workers()}
    for seconds in (1, 5):  # within a lease, and longer than two, and than the watchdog waits
        gate = here.gate()
        kinds = ("waits", "waits", "chatty", "chatty", "plain", "plain")
        ids = [one for kind in kinds for one in here.submit(kind, gate)]
        here.wait_started(ids)

        with _locked(here):
            gate.touch()  # the runs end now, and nobody can write that
            time.sleep(seconds)  # what is waited for is the passing of the lease itself
            assert {row[0] for row in here.probe("statuses", ids=ids)} == {"running"}

        attempts = here.wait_status(ids, "completed")
        assert seconds > 2 or attempts == [1] * 6
        here.run(count=3)
    assert {one.pid for one in tree.workers()} == workers
    assert "No sign of life" not in tree.log.read_text()


@pytest.mark.postgres
def test_connections_that_the_server_ends_again_and_again_lose_nothing(installation: Installation):
    here = installation
    tree = here.start()
    workers = {one.pid for one in tree.workers()}
    gate = here.gate()
    ids = [*here.submit("chatty", gate, count=6), *here.submit("plain", gate, count=2)]
    here.wait_started(ids)
    dropped = 0
    for _ in range(10):
        dropped += here.probe("drop_connections")
        ids += here.submit("waits", count=2, seconds=0.1)
        before = here.probe("connection_count")
        here.until(lambda count=before: here.probe("connection_count") >= count, "somebody is connected")
    gate.touch()

    attempts = here.wait_status(ids, "completed")

    assert dropped >= 10
    assert max(attempts) == 1  # a connection is no lease
    assert {one.pid for one in tree.workers()} == workers
    here.run(count=3)


@pytest.mark.postgres
def test_a_server_that_refuses_everybody_for_a_while_is_waited_for(installation: Installation):
    here = installation
    tree = here.start(GATEWAY_WATCHDOG_SECONDS=30)
    gate = here.gate()
    ids = [*here.submit("waits", gate, count=2), *here.submit("plain", gate, count=2)]
    here.wait_started(ids)
    here.hang_up()
    name = here.store.database

    with psycopg.connect(here.store.server, autocommit=True) as server:
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        gate.touch()  # the runs end now, and nobody can write that
        here.until(lambda: "cannot reach the database" in tree.log.read_text(), "it notices")
        time.sleep(1)  # a lease has three
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    here.wait_status(ids, "completed")
    here.run(count=3)


@pytest.mark.postgres
def test_a_claimer_that_froze_in_the_middle_of_a_claim_does_not_stop_the_others(installation: Installation):
    here = installation
    here.start(GATEWAY_WATCHDOG_SECONDS=100)
    other = Probe(here.environment)  # a worker on another machine, as far as the database can tell
    claiming = threading.Thread(target=_claim_until_killed, args=[other])
    try:
        claiming.start()
        here.until(lambda: here.probe("claim_lock_holders") == 1, "it claims")
        other.process.send_signal(signal.SIGSTOP)

        here.run(count=2)
    finally:
        other.process.kill()
        claiming.join()
        other.close()


@pytest.mark.postgres
def test_an_end_that_is_cut_off_half_way_is_written_again(installation: Installation):
    here = installation
    here.start(processes=1, GATEWAY_LEASE_SECONDS=60)
    gate = here.gate()
    (task_id,) = here.submit("waits", gate)
    here.wait_started([task_id])
    address = here.store.address(here.folder)

    with psycopg.connect(address) as other, psycopg.connect(address, autocommit=True) as observer:
        other.execute("SELECT 1 FROM executor_task WHERE id = %s FOR UPDATE", [task_id])
        gate.touch()
        cut_off = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        here.until(lambda: observer.execute(cut_off).fetchall(), "the end is being written")

    assert here.wait_status([task_id], "completed") == [1]


@pytest.mark.postgres
def test_a_row_that_a_frozen_writer_holds_does_not_keep_the_clock_from_the_others(installation: Installation):
    here = installation
    tree = here.start(processes=1)
    gate = here.gate()
    ids = here.submit("waits", gate, count=4)
    here.wait_started(ids)

    with psycopg.connect(here.store.address(here.folder)) as frozen:
        frozen.execute("SELECT 1 FROM executor_task WHERE id = %s FOR UPDATE", [ids[0]])
        tree.worker_of(ids[0]).kill()

        here.wait_started(ids[1:], attempt=2)
        assert here.probe("statuses", ids=ids[:1]) == [["running", None, 1]]

    here.wait_started(ids, attempt=2)
    gate.touch()
    here.wait_status(ids, "completed")


def _claim_until_killed(probe: Probe) -> None:
    with contextlib.suppress(ValueError):  # the answer never comes
        probe("lock_claims", seconds=600)


def test_a_worker_that_django_q_lets_go_takes_nobody_along(installation: Installation):
    """Its own time limit for a job raises in the main thread: that worker is replaced, the tree goes on."""
    here = installation
    tree = here.start(GATEWAY_WATCHDOG_SECONDS=100)
    other = Probe(here.environment)
    other("workers")  # it is up: from here on nothing takes long
    (pending,) = here.submit("waits", delay=1.5)
    holding = threading.Thread(target=other, args=["lock_claims"], kwargs={"seconds": 4.5})
    holding.start()
    busy: list[psutil.Process] = []

    def in_claim() -> bool:
        busy[:] = [one for one in tree.workers() if _catches_alarm(one)]
        return bool(busy)

    try:
        here.until(in_claim, "a worker waits for its turn to claim")
        busy[0].send_signal(signal.SIGALRM)
        here.until(lambda: not alive(busy[0]), "it is replaced")
    finally:
        holding.join()
        other.close()
    here.wait_status([pending], "completed")
    here.run(count=4)
    tree.settle()


def _catches_alarm(process: psutil.Process) -> bool:
    """Whether it has a handler for SIGALRM: Django-Q2's, while a job runs."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) & 1 << (signal.SIGALRM - 1))
