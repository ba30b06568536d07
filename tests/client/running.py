"""A Gateway that really runs: ``manage.py up`` on data and agents of the tests' own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import requests

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
PATIENCE_SECONDS = 60
AGENTS = ("echo", "talks", "sleeps", "fails", "lacks", "writes")


class Running:
    """One installation and its processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "up.log"
        agents = folder / "config" / "agents"
        agents.mkdir(parents=True)
        shutil.copy(HERE / "agents.py", agents / "client_agents.py")
        for shipped in ("personal_assistant", "data_analyst"):
            shutil.copy(ROOT / "config" / "agents" / f"{shipped}.yaml", agents)
        for name in AGENTS:
            runner = {"kind": "python", "entrypoint": f"client_agents:{name}"}
            limits = {"max_attempts": 1, "timeout_seconds": 120}
            config = {"name": name, "runner": runner, "limits": limits}
            (agents / f"{name}.yaml").write_text(json.dumps(config))  # JSON is YAML
        self.start()

    @property
    def api_key(self) -> str:
        return (self.folder / "data" / "api-key").read_text().strip()

    @property
    def environment(self) -> dict[str, str]:
        """Of the server."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "COV"))}
        kept.pop("DJANGO_SETTINGS_MODULE", None)
        return kept | {
            "GATEWAY_DATA_DIR": str(self.folder / "data"),
            "GATEWAY_CONFIG_DIR": str(self.folder / "config"),
            "GATEWAY_PUBLIC_URL": "http://gateway-host:8000",
            "GATEWAY_REQUESTS_PER_MINUTE": "100000",
            "GATEWAY_LEASE_SECONDS": "5",
            "LANG": "C.UTF-8",
        }

    def start(self) -> None:
        """Start everything and wait until it is ready."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--no-demo", "--port", str(self.port)],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.until_ready()

    def until_ready(self) -> None:
        for _ in range(PATIENCE_SECONDS * 5):
            assert self.process.poll() is None, self.log.read_text()
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{self.url}/readyz", timeout=5).ok:
                    return
            time.sleep(0.2)
        raise AssertionError(self.log.read_text())

    def manage(self, *arguments: str) -> str:
        """Run a command of manage.py and return what it prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def kill_web(self) -> None:
        """Kill the web process; the supervisor starts another."""
        for one in psutil.Process(self.process.pid).children(recursive=True):
            if "gatewaysite.web" in " ".join(one.cmdline()):
                one.kill()
                one.wait(10)
                return
        raise AssertionError("there is no web process")

    def stop(self) -> None:
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        for one in [*family, *([self.process] if self.process.poll() is None else [])]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.wait(10)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
