"""Wake-ups between processes: a ring says "look again", and nothing else.

A ring may be lost, doubled or late without harm, because whoever listens also looks by itself every
second or so. Three topics: ``tasks`` (something may be due), ``control`` (a run is to be cancelled, or a
worker is to stop) and ``news`` (an event was written).

SQLite: one datagram socket a listener in ``GATEWAY_DATA_DIR/bells``; the sender writes a byte to each
after its transaction committed. PostgreSQL: LISTEN/NOTIFY, sent within the transaction and delivered by
its commit.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection, transaction
from django.db.utils import Error as DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

Topic = Literal["tasks", "control", "news"]
MAX_SOCKET_PATH = 100
"""Bytes a UNIX socket's path may have on every system (Linux: 107, macOS: 103)."""


class Listener(Protocol):
    """Hears rings of one topic from the moment it is made."""

    def wait(self, timeout: float) -> bool:
        """Wait for a ring, at most ``timeout`` seconds; True if there was one since the last call."""

    def close(self) -> None:
        """Stop listening."""


def ring(*topics: Topic) -> None:
    """Wake everyone who listens to ``topics``, once the current transaction (if any) has committed."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            calls = ", ".join(["pg_notify(%s, '')"] * len(topics))
            cursor.execute(f"SELECT {calls}", [f"gateway_{topic}" for topic in topics])
        return
    transaction.on_commit(lambda: ring_sockets(*topics))


def listen(topic: Topic) -> Listener:
    """A listener for ``topic`` on whatever this installation's database offers."""
    if connection.vendor == "postgresql":
        return NotifyListener(topic)
    return SocketListener(topic)


def ring_sockets(*topics: Topic) -> None:
    """Send a byte to every listener's socket; a socket whose owner is gone is removed."""
    folder = _folder()
    names = [name for name in _names(folder) if name.partition("-")[0] in topics]
    if not names:
        return
    with _address(folder) as base, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for name in names:
            try:
                sender.sendto(b"!", f"{base}/{name}")
            except (ConnectionRefusedError, FileNotFoundError):
                with contextlib.suppress(OSError):
                    (folder / name).unlink()
            except OSError:
                pass  # a full buffer: it has rings enough to wake up


class SocketListener:
    """A datagram socket in the bells folder."""

    def __init__(self, topic: Topic) -> None:
        folder = bells_folder()
        self.path = folder / f"{topic}-{os.getpid()}-{threading.get_ident():x}-{time.monotonic_ns():x}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with _address(folder) as base:
            self._socket.bind(f"{base}/{self.path.name}")

    def wait(self, timeout: float) -> bool:
        self._socket.settimeout(max(timeout, 0.001))
        try:
            self._socket.recv(16)
        except TimeoutError:
            return False
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(16):
                pass
        return True

    def close(self) -> None:
        self._socket.close()
        with contextlib.suppress(OSError):
            self.path.unlink()


class NotifyListener:
    """LISTEN on a connection of its own, made again when the server dropped it."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._connection = connection.copy(DEFAULT_DB_ALIAS)
        self._listening = False

    def wait(self, timeout: float) -> bool:
        try:
            if not self._listening:
                with self._connection.cursor() as cursor:
                    cursor.execute(f"LISTEN gateway_{self._topic}")
                self._listening = True
                return True  # whatever happened before we listened: look once
            with self._connection.wrap_database_errors:
                raw = self._connection.connection
                heard = any(True for _ in raw.notifies(timeout=timeout, stop_after=1))
                for _ in raw.notifies(timeout=0):
                    pass
            return heard
        except DatabaseError as exc:
            # The server went away: whoever waits looks by itself meanwhile, and we listen again.
            logger.warning("Lost the connection that listens to %s: %s", self._topic, exc)
            self.close()
            time.sleep(min(timeout, 1.0))
            return False

    def close(self) -> None:
        self._listening = False
        with contextlib.suppress(DatabaseError):
            self._connection.close()


def bells_folder() -> Path:
    """``GATEWAY_DATA_DIR/bells``, made (0700) if it is missing."""
    folder = _folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _folder() -> Path:
    return Path(settings.GATEWAY_DATA_DIR) / "bells"


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def _address(folder: Path) -> Iterator[str]:
    """A path of ``folder`` that is short enough for a socket address."""
    plain = str(folder)
    if len(os.fsencode(plain)) <= MAX_SOCKET_PATH - 60:
        yield plain
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
