"""Makes what the requests of `http` ask for, and prints it as JSON: a key, traces, a task with 100 events."""

from __future__ import annotations

import json
import sys
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from gateway.core.executor import TaskManager
from gateway.core.lifecycle import TraceManager

EVENTS = 100


def main(traces: int) -> None:
    """``traces`` traces, and one task in a trace of its own whose log says ``EVENTS`` things."""
    from executor.models import Task, TaskEvent
    from lifecycle.api_key_manager import ApiKeyManager

    with transaction.atomic():
        key = ApiKeyManager().create("benchmark")
        keys = [TraceManager().create_trace("benchmark", "no_op") for _ in range(traces + 1)]
        task_id = UUID(TaskManager().submit_task(keys.pop(), "分析销售数据", input={"file": "sales.csv"}))
        now = timezone.now()
        TaskEvent.objects.bulk_create(
            TaskEvent(
                task_id=task_id,
                seq=seq,
                type="log",
                data={"level": "info", "message": f"Read 1,000 lines, {seq} of 100", "step": None},
                attempt=1,
                at=now,
            )
            for seq in range(2, EVENTS + 1)
        )
        # Final, as most tasks are that somebody looks at.
        Task.objects.filter(pk=task_id).update(
            status="completed", last_seq=EVENTS, attempt=1, started_at=now, finished_at=now, result="ok"
        )
    print(json.dumps({"key": key, "traces": keys, "task": str(task_id)}))


main(int(sys.argv[1]))
