"""Gives Gateway work, in a process of its own, and prints as JSON when each task was committed."""

from __future__ import annotations

import json
import sys
import time

from django.db import transaction

from gateway.core.executor import TaskManager
from gateway.core.lifecycle import TraceManager


def main(agent_type: str, count: int, gap: float, path: str, waits: bool) -> None:
    """Submit ``count`` tasks, ``gap`` seconds apart, and wait for the end of all of them if asked.

    Tasks of one trace run one after the other, so each has a trace of its own, made before the clock runs.
    """
    from executor.models import Task

    tasks = TaskManager()
    with transaction.atomic():
        traces = [TraceManager().create_trace("benchmark", agent_type) for _ in range(count)]
    moments: list[float] = []
    committed = {}
    took = []
    first = time.time()
    for trace in traces:
        began = time.time()
        with transaction.atomic():
            transaction.on_commit(lambda: moments.append(time.time()))  # before Gateway's own wake-up
            task_id = tasks.submit_task(trace, "measure", input=path)
        took.append(time.time() - began)
        committed[task_id] = moments[-1]
        time.sleep(gap)
    last = time.time() - gap
    while waits and Task.objects.unfinished().exists():
        time.sleep(0.02)
    done = time.time()
    print(json.dumps({"committed": committed, "first": first, "last": last, "done": done, "took": took}))


main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], sys.argv[5] == "wait")
