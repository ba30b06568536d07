"""A process beside the worker that acts and looks for a test: a JSON request a line, a JSON answer a line.

It is the test's own door into the installation (``gateway.core``), so that the test process itself holds no
connection and no settings of it.
"""

import json
import os
import sys
import traceback
from datetime import UTC, datetime, timedelta
from uuid import UUID

from gateway.core.executor import TaskManager
from gateway.core.lifecycle import TraceManager
from tests import history


def prepare():
    """Migrate, and import the agent types' files."""
    from lifecycle.installation import prepare as prepare_installation

    prepare_installation()


def submit(agent_type, input, count=1, trace_id=None, delay=0, **options):
    """Submit ``count`` tasks, each in a trace of its own (or all in ``trace_id``); returns their ids."""
    ids = []
    if delay:
        options["run_at"] = datetime.now(UTC) + timedelta(seconds=delay)
    for _ in range(count):
        trace = trace_id or TraceManager().create_trace(workspace_id="tests", agent_type=agent_type)
        ids.append(TaskManager().submit_task(trace, "A task of the tests", input=input, **options))
    return ids


def get(task_id):
    return TaskManager().get_task(task_id)


def events(task_id, after=0):
    return TaskManager().list_events(task_id, after=after, limit=1000)


def cancel(task_id, **options):
    return TaskManager().cancel_task(task_id, **options)


def statuses(ids):
    """``status/reason/attempt`` of each task, in the order asked for."""
    from executor.models import Task

    rows = {str(row.pk): row for row in Task.objects.filter(pk__in=ids)}
    return [[rows[one].status, rows[one].reason, rows[one].attempt] for one in ids]


def attempts(task_id):
    from executor.models import Attempt

    rows = Attempt.objects.filter(task_id=task_id).order_by("number")
    return list(rows.values("number", "worker", "pid", "outcome", "lease_until", "ended_at"))


def workers(kind="runner"):
    from executor.models import Worker

    return list(Worker.objects.filter(kind=kind).values("name", "pid", "running", "seen_at"))


def unfinished():
    """How many tasks run or wait for somebody."""
    from executor.models import Task

    return Task.objects.unfinished().exclude(status="pending").count()


def violations():
    """What the history checker says of all tasks."""
    return history.violations()


def claims():
    """Every task and number of an attempt that was ever claimed."""
    from executor.models import Attempt

    return list(Attempt.objects.values_list("task_id", "number"))


def drop_connections():
    """On PostgreSQL: end every connection to this database but our own."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0]


def connection_count():
    """On PostgreSQL: how many connections this database has beside ours."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0]


def claim_lock_holders():
    """On PostgreSQL: how many connections hold the claim's lock (or another advisory one)."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return cursor.fetchone()[0]


def lock_claims(seconds):
    """Hold the claim's lock for a while in this process: what a frozen claimer does."""
    import time

    from django.db import connection, transaction

    from executor import leases

    with transaction.atomic():
        if connection.vendor == "postgresql":
            leases._lock_claims()
        time.sleep(seconds)


CALLS = {
    each.__name__: each
    for each in (
        prepare, submit, get, events, cancel, statuses, attempts, workers, unfinished, violations,
        claims,
        drop_connections, connection_count, claim_lock_holders, lock_claims,
    )
}  # fmt: skip


def plain(value):
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{value!r} is no JSON")


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever is printed on the way is no answer
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"value": CALLS[request["call"]](**request["arguments"])}
        except Exception as exc:
            answer = {"error": f"{type(exc).__name__}: {exc}", "trace": traceback.format_exc()}
        answers.write(json.dumps(answer, default=plain) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
