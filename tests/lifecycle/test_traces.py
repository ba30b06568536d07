"""Traces: made, listed, closed; their status is that of their tasks."""

from __future__ import annotations

from uuid import UUID

import pytest

from executor import agent_events, transitions
from executor.states import TaskStatus
from executor.transitions import Move
from gateway.errors import (
    AgentTypeNotFound,
    Conflict,
    InvalidInput,
    NotAllowed,
    TraceNotFound,
    WorkspaceNotFound,
)
from lifecycle.actors import Actor
from lifecycle.models import Trace, Workspace
from lifecycle.trace_manager import TraceManager
from tests import make

pytestmark = pytest.mark.django_db
manager = TraceManager()


@pytest.fixture(autouse=True)
def echo_type():
    return make.an_agent_type()


def test_a_trace_is_shown_as_it_was_made():
    parent = manager.create_trace("user_001", "echo")

    trace_id = manager.create_trace(
        "USER_001", "ECHO", title=" Sales ", parent_id=parent, labels={"a": "b"}, metadata={"n": 1}
    )

    trace = manager.get_trace(trace_id)
    assert trace == {
        "id": trace_id, "workspace_id": "user_001", "agent_type": "echo", "title": "Sales",
        "parent_id": parent, "status": "idle", "labels": {"a": "b"}, "metadata": {"n": 1}, "task_counts": {},
        "usage": {"input_tokens": 0, "output_tokens": 0, "cost": None, "currency": None},
        "created_at": trace["created_at"], "closed_at": None,
    }  # fmt: skip


def test_an_unknown_workspace_is_made(data_dir):
    manager.create_trace("brand-new", "echo")

    assert Workspace.objects.get().pk == "brand-new"
    assert (data_dir / "workspaces" / "brand-new").is_dir()


def test_an_unknown_workspace_is_not_made_where_the_settings_forbid_it(settings):
    settings.GATEWAY_AUTO_CREATE_WORKSPACES = False

    with pytest.raises(WorkspaceNotFound):
        manager.create_trace("brand-new", "echo")

    assert not Workspace.objects.exists()


def test_a_limited_actor_makes_no_workspaces():
    with pytest.raises(WorkspaceNotFound):
        manager.create_trace("brand-new", "echo", actor=Actor.limited("key", ["submit"], ["brand-new"]))

    assert not Workspace.objects.exists()


@pytest.mark.parametrize(
    ("fields", "error", "field"),
    [
        ({"workspace_id": "no slug"}, InvalidInput, "workspace_id"),
        ({"workspace_id": None}, InvalidInput, "workspace_id"),
        ({"agent_type": "nobody"}, AgentTypeNotFound, "agent_type"),
        ({"agent_type": "\x00"}, AgentTypeNotFound, "agent_type"),
        ({"agent_type": None}, AgentTypeNotFound, "agent_type"),
        ({"parent_id": UUID(int=7)}, TraceNotFound, "parent_id"),
        ({"parent_id": "nonsense"}, TraceNotFound, "parent_id"),
        ({"title": "x" * 201}, InvalidInput, "title"),
        ({"labels": {"a": 1}}, InvalidInput, "labels.a"),
        ({"metadata": 5}, InvalidInput, "metadata"),
    ],
    ids=str,
)
def test_a_bad_field_is_refused_by_name(fields, error, field):
    with pytest.raises(error) as refused:
        manager.create_trace(**{"workspace_id": "user_001", "agent_type": "echo"} | fields)

    assert refused.value.errors[0]["field"] == field
    assert refused.value.hint or field in str(refused.value)
    assert not Trace.objects.exists()
    assert not Workspace.objects.exists(), "a refused trace leaves no workspace behind"


def test_an_unknown_agent_type_names_those_that_are_there():
    make.an_agent_type("another")

    with pytest.raises(AgentTypeNotFound, match="Registered: another, echo"):
        manager.create_trace("user_001", "nobody")


@pytest.mark.parametrize("status", ["archived", "deleting"])
def test_a_workspace_that_is_not_active_takes_no_traces(status):
    make.a_workspace(status=status)

    with pytest.raises(Conflict) as refused:
        manager.create_trace("user_001", "echo")

    assert refused.value.data["current_status"] == status


def test_a_reader_makes_no_traces():
    with pytest.raises(NotAllowed):
        manager.create_trace("user_001", "echo", actor=Actor.limited("reader", ["read"], None))


def test_traces_are_listed_newest_first_and_filtered():
    make.an_agent_type("Typed")
    first = manager.create_trace("one", "echo")
    second = manager.create_trace("two", "Typed")

    def ids(**filters) -> list[str]:
        return [trace["id"] for trace in manager.list_traces(**filters)]

    assert ids() == [second, first]
    assert ids(limit=1) == [second]
    assert ids(workspace_id="ONE") == [first]
    assert ids(agent_type="typed") == [second]
    assert ids(workspace_id="\x00") == ids(agent_type="\ud800") == []


# --- Status ------------------------------------------------------------------------------------------------


def test_the_status_of_a_trace_is_that_of_its_tasks():
    task = make.a_task()
    trace = task.trace

    def status() -> str:
        return manager.get_trace(trace.pk)["status"]

    assert status() == "idle"
    claim = make.a_claim(task)
    assert status() == "running"
    transitions.move(Move(task.pk, TaskStatus.WAITING, "tests"))
    assert status() == "waiting"
    make.manager.cancel_task(task.pk)
    assert status() == "running"
    make.finish(claim, "cancelled")
    assert status() == "idle"


def test_a_trace_counts_its_tasks_and_what_they_used():
    trace = make.a_trace()
    for _ in range(2):
        claim = make.a_claim(make.a_task(trace))
        agent_events.record({claim.token: [{"type": "usage", "input_tokens": 3, "cost": 0.5}]})
        make.finish(claim)
    make.a_task(trace)

    shown = manager.get_trace(trace.pk)

    assert shown["task_counts"] == {"completed": 2, "pending": 1}
    assert shown["usage"] == {"input_tokens": 6, "output_tokens": 0, "cost": 1.0, "currency": "USD"}


# --- Closing -----------------------------------------------------------------------------------------------


def test_closing_twice_is_closing_once():
    trace = make.a_trace()

    closed = manager.close_trace(trace.pk)

    assert closed["status"] == "closed"
    assert closed["closed_at"] is not None
    assert manager.close_trace(trace.pk) == closed


@pytest.mark.parametrize("active", [False, True])
def test_a_trace_with_unfinished_tasks_is_not_closed(active):
    task = make.a_task()
    if active:
        make.a_claim(task)

    with pytest.raises(Conflict, match=r"1 unfinished task") as refused:
        manager.close_trace(task.trace_id)

    assert "cancel" in refused.value.hint
    assert Trace.objects.get().closed_at is None


def test_a_trace_whose_tasks_ended_can_be_closed():
    task, claim = make.a_claimed_task()
    make.finish(claim)

    assert manager.close_trace(task.trace_id)["status"] == "closed"


@pytest.mark.parametrize("trace_id", [UUID(int=8), "nonsense", None, ""])
@pytest.mark.parametrize("verb", ["get_trace", "close_trace"])
def test_an_unknown_trace_is_not_found(verb, trace_id):
    with pytest.raises(TraceNotFound):
        getattr(manager, verb)(trace_id)
