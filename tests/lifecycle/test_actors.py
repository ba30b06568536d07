"""Who may see what: one queryset method hides foreign rows, on every model that belongs to a workspace."""

from __future__ import annotations

import inspect

import pytest
from django.apps import apps

from executor import agent_events, artifact_store
from executor.models import Artifact, Attempt, Task, TaskEvent
from gateway.errors import NotAllowed, NotFound
from lifecycle.actors import SCOPES, SYSTEM, Actor, local_actor
from lifecycle.models import ScopedQuerySet, Span, Trace, Workspace
from lifecycle.trace_manager import TraceManager
from lifecycle.workspace_manager import WorkspaceManager
from tests import make

pytestmark = pytest.mark.django_db

SCOPED = [Workspace, Trace, Span, Task, Attempt, TaskEvent, Artifact]
WAY_TO_WORKSPACE = {
    Workspace: "id",
    Trace: "workspace_id",
    Span: "trace__workspace_id",
    Task: "workspace_id",
    Attempt: "task__workspace_id",
    TaskEvent: "task__workspace_id",
    Artifact: "task__workspace_id",
}


def a_run_in(workspace: str) -> Task:
    """A task with one row of every kind, in ``workspace``."""
    task = make.a_task(make.a_trace(workspace))
    claim = make.a_claim(task)
    WorkspaceManager().upload_file(workspace, "a.txt", workspace.encode())
    agent_events.record(
        {
            claim.token: [
                {"type": "step.start", "id": "1", "kind": "tool", "name": "n"},
                {"type": "artifact", "kept": artifact_store.keep(workspace, "a.txt", "")},
            ]
        }
    )
    return make.fresh(task)


@pytest.mark.parametrize("model", SCOPED, ids=lambda model: model.__name__)
@pytest.mark.parametrize(
    ("workspaces", "seen"),
    [
        (None, {"Ours", "theirs", "third"}),
        (["ours"], {"Ours"}),
        (["OURS", "third"], {"Ours", "third"}),
        (["nowhere"], set()),
        ([], set()),
    ],
)
def test_an_actor_sees_the_rows_of_its_workspaces_only(model, workspaces, seen):
    for workspace in ("Ours", "theirs", "third"):
        a_run_in(workspace)

    rows = model.objects.for_actor(Actor.limited("key", SCOPES, workspaces))

    assert set(rows.values_list(WAY_TO_WORKSPACE[model], flat=True)) == seen


def test_every_model_with_a_scope_is_in_the_table():
    scoped = {
        model
        for label in ("lifecycle", "executor", "channels_app")
        for model in apps.get_app_config(label).get_models()
        if isinstance(model._default_manager.all(), ScopedQuerySet)
    }

    assert scoped == set(SCOPED)


STRANGER = Actor.limited("stranger", SCOPES, ["elsewhere"])


@pytest.mark.parametrize(
    "verb",
    [
        lambda task: make.manager.get_task(task.pk, actor=STRANGER),
        lambda task: make.manager.cancel_task(task.pk, actor=STRANGER),
        lambda task: make.manager.retry_task(task.pk, actor=STRANGER),
        lambda task: make.manager.list_events(task.pk, actor=STRANGER),
        lambda task: make.manager.wait(task.pk, timeout=0, actor=STRANGER),
        lambda task: make.manager.list_artifacts(task.pk, actor=STRANGER),
        lambda task: make.manager.read_artifact(task.pk, Artifact.objects.get().pk, actor=STRANGER),
        lambda task: make.manager.submit_task(task.trace_id, "hello", actor=STRANGER),
        lambda task: make.manager.list_tasks(trace_id=task.trace_id, actor=STRANGER),
        lambda task: TraceManager().get_trace(task.trace_id, actor=STRANGER),
        lambda task: TraceManager().close_trace(task.trace_id, actor=STRANGER),
        lambda task: TraceManager().create_trace("ours", "echo", actor=STRANGER),
        lambda task: TraceManager().create_trace("new", "echo", actor=STRANGER),
        lambda task: TraceManager().create_trace(
            "elsewhere", "echo", parent_id=task.trace_id, actor=STRANGER
        ),
        lambda task: WorkspaceManager().get_workspace("ours", actor=STRANGER),
        lambda task: WorkspaceManager().list_files("ours", actor=STRANGER),
        lambda task: WorkspaceManager().read_file("ours", "a.txt", actor=STRANGER),
        lambda task: WorkspaceManager().upload_file("ours", "a.txt", b"", actor=STRANGER),
    ],
    ids=lambda verb: inspect.getsource(verb).strip()[13:60],
)
def test_what_an_actor_may_not_see_is_not_found(verb):
    make.a_workspace("elsewhere")
    task = a_run_in("ours")

    with pytest.raises(NotFound):
        verb(task)


@pytest.mark.parametrize(
    "listing",
    [
        lambda actor: make.manager.list_tasks(actor=actor),
        lambda actor: make.manager.list_tasks(workspace_id="ours", actor=actor),
        lambda actor: TraceManager().list_traces(actor=actor),
        lambda actor: TraceManager().list_traces(workspace_id="ours", actor=actor),
        lambda actor: WorkspaceManager().list_workspaces(actor=actor),
    ],
)
def test_lists_hold_what_the_actor_may_see(listing):
    a_run_in("ours")

    assert listing(STRANGER) == []
    assert len(listing(Actor.limited("friend", ["read"], ["OURS"]))) == 1


def test_a_verb_that_changes_something_takes_an_actor_and_every_read_too():
    for manager in (make.manager, TraceManager(), WorkspaceManager()):
        for name, verb in inspect.getmembers(manager, inspect.ismethod):
            if not name.startswith("_"):
                assert "actor" in inspect.signature(verb).parameters, f"{name} has no actor"


@pytest.mark.parametrize("scope", SCOPES)
def test_a_missing_scope_is_named(scope):
    with pytest.raises(NotAllowed, match=f"lacks the scope '{scope}'") as refused:
        Actor.limited("key:ci", set(SCOPES) - {scope}, None).require(scope)

    assert f"--scopes {scope}" in refused.value.hint
    SYSTEM.require(scope)


def test_workspaces_are_compared_without_case():
    actor = Actor.limited("key", ["read"], ["User_001"])

    assert actor.may_see("user_001")
    assert actor.may_see("USER_001")
    assert not actor.may_see("user_002")
    assert SYSTEM.may_see("anything")


def test_whoever_runs_the_process_may_do_everything(monkeypatch):
    assert local_actor().name.startswith("local:")
    assert local_actor().workspaces is None

    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert local_actor().name == "local"
