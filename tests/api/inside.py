"""A process inside the installation that makes keys and the like: a JSON request a line, an answer a line."""

import contextlib
import json
import os
import sys
import traceback
from datetime import timedelta

import django

django.setup()

from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from executor.models import Task, TaskEvent
from gateway.errors import AlreadyExists
from lifecycle.api_key_manager import ApiKeyManager
from lifecycle.models import IdempotencyKey, Trace
from lifecycle.workspace_manager import WorkspaceManager


def key(name="tests", **options):
    """Make an API key; its workspaces are made if they are missing."""
    for workspace in options.get("workspaces") or ():
        with contextlib.suppress(AlreadyExists):
            WorkspaceManager().create_workspace(workspace)
    return ApiKeyManager().create(name, **options)


def revoke(key):
    ApiKeyManager().revoke(key.split("_")[1])


def session(name="chief"):
    """The cookie of a superuser who is signed in."""
    user, _ = get_user_model().objects.get_or_create(username=name, is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value


def age_idempotency_keys(hours):
    """Date every kept answer back."""
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=hours))


def long_task(trace_id, events, size):
    """A final task with a long log, written at once."""
    trace = Trace.objects.get(pk=trace_id)
    now = timezone.now()
    task = Task.objects.create(
        trace=trace,
        workspace_id=trace.workspace_id,
        agent_type_id=trace.agent_type_id,
        position=1_000_000,
        description="A long log",
        timeout_seconds=60,
        max_attempts=1,
        actor="tests",
        status="cancelled",
        reason="requested",
        run_at=now,
        created_at=now,
        finished_at=now,
        last_seq=events,
    )
    words = "x" * size
    TaskEvent.objects.bulk_create(
        (
            TaskEvent(task=task, seq=seq, type="log", data={"message": words}, attempt=0, at=now)
            for seq in range(1, events)
        ),
        batch_size=500,
    )
    TaskEvent.objects.create(task=task, seq=events, type="task.cancelled", data={}, attempt=0, at=now)
    return str(task.pk)


CALLS = {one.__name__: one for one in (key, revoke, session, age_idempotency_keys, long_task)}

if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"value": CALLS[asked["call"]](**asked["arguments"])}
        except Exception as exc:
            answer = {"error": repr(exc), "trace": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)
