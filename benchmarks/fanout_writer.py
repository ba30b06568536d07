"""Writes one event to a running task's log for each line on its standard input, and prints when it began."""

from __future__ import annotations

import json
import sys
import time

from django.db import transaction
from django.utils import timezone

from gateway.core.executor import TaskManager
from gateway.core.lifecycle import TraceManager


def main() -> None:
    """Start a task as a worker would, print where to follow it, and write what is asked for."""
    from executor import doorbell, events, kernel, leases
    from lifecycle.api_key_manager import ApiKeyManager
    from lifecycle.models import AgentVersion

    task_id = TaskManager().submit_task(TraceManager().create_trace("benchmark", "no_op"), "be followed")
    worker = leases.WorkerIdentity("benchmark", kernel.host_id(), 0)
    [claim] = leases.claim(worker, {AgentVersion.Mode.ASYNC: 1})
    print(json.dumps({"key": ApiKeyManager().create("benchmark"), "task": task_id}), flush=True)
    for _ in sys.stdin:
        line = events.Line("log", {"level": "info", "message": "tick", "step": None}, timezone.now())
        began = time.time()
        with transaction.atomic():
            events.append({claim.token: [line]})
            doorbell.ring("news")
        print(began, flush=True)


main()
