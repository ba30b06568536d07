"""A web server under test, as a process of its own in the environment of a system."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psutil

from benchmarks.systems import ROOT

READY_SECONDS = 60


@dataclass(frozen=True)
class WebServer:
    """One that listens."""

    name: str
    port: int
    process: subprocess.Popen[bytes]

    def cpu(self) -> float:
        """Seconds of CPU that it has taken so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)


@contextlib.contextmanager
def gateway_web(environment: Mapping[str, str]) -> Iterator[WebServer]:
    """Gateway's web process alone, as the supervisor starts it."""
    port = free_port()
    argv = [sys.executable, "-m", "gatewaysite.web", "127.0.0.1", str(port), str(os.getpid())]
    with serving("Gateway", argv, port, environment) as server:
        yield server


@contextlib.contextmanager
def plain_web(environment: Mapping[str, str]) -> Iterator[WebServer]:
    """daphne with the same options and Django's own ASGI application over plain viewsets."""
    port = free_port()
    options = ["-v", "0", "-b", "127.0.0.1", "-p", str(port), "--no-server-name"]
    argv = [sys.executable, "-m", "daphne", *options, "benchmarks.plain_rest.asgi:application"]
    settings = {"DJANGO_SETTINGS_MODULE": "benchmarks.plain_rest.settings"}
    with serving("plain viewsets", argv, port, {**environment, **settings}) as server:
        yield server


@contextlib.contextmanager
def serving(name: str, argv: list[str], port: int, environment: Mapping[str, str]) -> Iterator[WebServer]:
    """Start a server and stop it afterwards."""
    process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        _wait_until_it_listens(port)
        yield WebServer(name, port, process)
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_listens(port: int) -> None:
    give_up_at = time.monotonic() + READY_SECONDS
    while time.monotonic() < give_up_at:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"Nobody listens on port {port}.")
