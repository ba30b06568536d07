"""Gives Gateway work over HTTP, in a process of its own, and prints as JSON when each request was begun.

``GATEWAY_URL`` is where it runs; the key is the one that its first start made.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

READY_SECONDS = 60


class Caller:
    """One kept-alive connection."""

    def __init__(self) -> None:
        address = urlsplit(os.environ["GATEWAY_URL"]).netloc
        self._connection = http.client.HTTPConnection(address, timeout=30)
        self._headers = {"Content-Type": "application/json"}

    def wait_until_ready(self) -> None:
        """Wait for web and worker, then take the key."""
        give_up_at = time.monotonic() + READY_SECONDS
        while not self._ready():
            assert time.monotonic() < give_up_at, "not ready"
            time.sleep(0.1)
        key = (Path(os.environ["GATEWAY_DATA_DIR"]) / "api-key").read_text().strip()
        self._headers["Authorization"] = f"Bearer {key}"

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The answer to one request, which has to succeed."""
        content = None if body is None else json.dumps(body)
        self._connection.request(method, path, content, self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        assert response.status < 300, answer
        told: dict[str, Any] = json.loads(answer)
        return told

    def _ready(self) -> bool:
        try:
            self._connection.request("GET", "/readyz")
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return False
        return response.status == 200


def main(agent_type: str, count: int, gap: float, path: str, waits: bool) -> None:
    """Submit ``count`` tasks, ``gap`` seconds apart, each in a trace of its own that is made before."""
    caller = Caller()
    caller.wait_until_ready()
    new = {"workspace_id": "benchmark", "agent_type": agent_type}
    traces = [caller.call("POST", "/api/v1/traces", new)["id"] for _ in range(count)]
    committed = {}
    took = []
    first = time.time()
    for trace in traces:
        began = time.time()
        body = {"trace_id": trace, "description": "measure", "input": path}
        committed[caller.call("POST", "/api/v1/tasks", body)["id"]] = began
        took.append(time.time() - began)
        time.sleep(gap)
    last = time.time() - gap
    unfinished = "/api/v1/tasks?status=pending&status=running&limit=1"
    while waits and caller.call("GET", unfinished)["items"]:
        time.sleep(0.02)
    done = time.time()
    print(json.dumps({"committed": committed, "first": first, "last": last, "done": done, "took": took}))


main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], sys.argv[5] == "wait")
