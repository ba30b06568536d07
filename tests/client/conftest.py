"""A running Gateway for the tests of the client, and servers that are none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.client.python import GatewayClient
from tests.client.running import ROOT, Running
from tests.client.strange import Answer, StrangeServer

CLI = [sys.executable, "-m", "gateway.client.python.cli"]


@pytest.fixture(scope="session")
def running(tmp_path_factory) -> Iterator[Running]:
    """An installation that runs for all tests of the client."""
    made = Running(tmp_path_factory.mktemp("gateway"))
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path) -> None:
    """Nothing of this machine tells the client where to go."""
    for name in ("GATEWAY_URL", "GATEWAY_API_KEY", "GATEWAY_TOKEN", "XDG_CONFIG_HOME", "LANGUAGE_CODE"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path / "nothing"))


@pytest.fixture
def client(running) -> Iterator[GatewayClient]:
    with GatewayClient(running.url, running.api_key) as made:
        yield made


@pytest.fixture
def strange() -> Iterator[Callable[..., StrangeServer]]:
    """Make a server that answers by a script."""
    made: list[StrangeServer] = []

    def make(*script: Answer) -> StrangeServer:
        made.append(StrangeServer(*script))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def lost(strange, monkeypatch) -> Iterator[Callable[..., tuple[GatewayClient, StrangeServer]]]:
    """A client of a strange server, whose pauses take no time."""
    clients: list[GatewayClient] = []
    pauses: list[float] = []
    for module in ("transport", "streams", "tasks", "downloads"):
        monkeypatch.setattr(f"gateway.client.python.{module}.time.sleep", pauses.append)

    def make(*script: Answer, **options: float) -> tuple[GatewayClient, StrangeServer]:
        server = strange(*script)
        client = GatewayClient(server.url, "gk_test_key", **({"timeout": 2} | options))  # type: ignore[arg-type]
        client.pauses = pauses  # type: ignore[attr-defined]
        clients.append(client)
        return client, server

    yield make
    for client in clients:
        client.close()


@dataclass
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@pytest.fixture
def command(running, tmp_path) -> Callable[..., Done]:
    """Run ``gateway …`` as its users do, without a terminal."""

    def run(
        *arguments: str, stdin: str = "", cwd: Path | None = None, timeout: float = 60, **environment: str
    ) -> Done:
        done = subprocess.run(
            [*CLI, *arguments],
            cwd=cwd or tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=command_environment(running, **environment),
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


def command_environment(running: Running, **more: str) -> dict[str, str]:
    """The environment of a command that knows the running Gateway."""
    kept = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "GATEWAY_DATA_DIR", "COVERAGE_PROCESS_START")
        if name in os.environ
    }
    ours = {
        "GATEWAY_URL": running.url,
        "GATEWAY_API_KEY": running.api_key,
        "PYTHONPATH": str(ROOT),
        "LANG": "C.UTF-8",
    }
    return kept | ours | more
