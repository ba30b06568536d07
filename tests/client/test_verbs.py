"""Every verb of the client against a server that runs."""

import inspect
import io
import re
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from executor.engine_manager import EngineManager, StatsDict, WorkerDict
from executor.events import EventDict
from executor.task_dict import TaskDict
from executor.task_manager import ArtifactDict, BulkResult, EventPage, TaskManager
from executor.task_query import TaskFilters
from gateway import errors
from gateway.client.python import GatewayClient, types
from gateway.page import Page
from lifecycle.agent_type_dict import AgentTypeDict, AgentVersionDict
from lifecycle.agent_type_manager import AgentTypeManager
from lifecycle.span_dict import SpanChanges, SpanDict
from lifecycle.trace_manager import TraceDict, TraceManager
from lifecycle.workspace_manager import WorkspaceDict, WorkspaceManager
from tests.client.running import ROOT

pytestmark = pytest.mark.engine

# --- The same words as the managers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (types.Task, TaskDict),
        (types.Event, EventDict),
        (types.EventPage, EventPage),
        (types.Artifact, ArtifactDict),
        (types.Stats, StatsDict),
        (types.WorkerStats, WorkerDict),
        (types.BulkResult, BulkResult),
        (types.TaskFilters, TaskFilters),
        (types.Trace, TraceDict),
        (types.Span, SpanDict),
        (types.SpanChanges, SpanChanges),
        (types.Workspace, WorkspaceDict),
        (types.AgentType, AgentTypeDict),
        (types.AgentVersion, AgentVersionDict),
    ],
    ids=lambda kind: kind.__name__,
)
def test_the_dicts_are_those_of_the_server(ours, theirs):
    assert set(ours.__annotations__) == set(theirs.__annotations__)


ONLY_INSIDE = {
    TaskManager: {"open_artifact"},
    AgentTypeManager: {"get", "import_files", "check_files"},
}


@pytest.mark.parametrize(
    "manager", [TaskManager, TraceManager, WorkspaceManager, AgentTypeManager, EngineManager]
)
def test_the_verbs_and_their_parameters_are_those_of_the_managers(manager):
    own = {"idempotency_key", "progress", "on_cut"}
    for name, verb in inspect.getmembers(manager, inspect.isfunction):
        if name.startswith("_") or name in ONLY_INSIDE.get(manager, ()):
            continue
        theirs = [one for one in inspect.signature(verb).parameters if one != "actor"]
        ours = [one for one in inspect.signature(getattr(GatewayClient, name)).parameters if one not in own]
        assert ours == theirs, f"{manager.__name__}.{name}"


# --- Tasks and traces --------------------------------------------------------------------------------------


@pytest.fixture
def workspace():
    return f"w-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def trace_id(client, workspace):
    return client.create_trace(
        workspace, "echo", title="A title", labels={"team": "sales"}, metadata={"n": 1}
    )


def submitted(client, trace_id, description="hello", **more):
    task_id = client.submit_task(trace_id, description, **more)
    assert client.wait(task_id, timeout=30)["status"] == "completed"
    return task_id


def test_the_example_of_the_design_runs_as_it_stands(running, tmp_path):
    example = (
        "from gateway.client.python import GatewayClient          "
        "# from anywhere: the SDK, no Django needed\n"
        'client = GatewayClient("http://gateway-host:8000")\n'
        'trace_id = client.create_trace(workspace_id="user_001", agent_type="personal_assistant")\n'
        'task_id = client.submit_task(trace_id=trace_id, task_description="分析销售数据")\n'
        'print(client.get_task(task_id)["status"])\n'
    )
    # The name gateway-host leads to the server of the tests, as /etc/hosts and a port mapping would let it.
    names = (
        "import socket\n"
        "ask = socket.getaddrinfo\n"
        "def answer(host, port, *more, **named):\n"
        "    known = (host, port) == ('gateway-host', 8000)\n"
        f"    host, port = ('127.0.0.1', {running.port}) if known else (host, port)\n"
        "    return ask(host, port, *more, **named)\n"
        "socket.getaddrinfo = answer\n"
    )
    (tmp_path / "sitecustomize.py").write_text(names)
    (tmp_path / "example.py").write_text(example, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "example.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "GATEWAY_API_KEY": running.api_key, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.strip() in ("pending", "running", "completed", "failed"), done.stderr


def test_a_task_comes_back_with_what_it_was_given(client, trace_id):
    given = {"rows": [1, 2.5, None, "数据 🌍"], "deep": {"a": {"b": True}}}

    task_id = submitted(client, trace_id, "  分析  ", input=given, labels={"k": "v"}, priority=3)

    task = client.get_task(task_id)
    assert task["result"] == {"description": task["description"], "input": given, "labels": {"k": "v"}}
    assert (task["priority"], task["attempt"], task["agent_type"]) == (3, 1, "echo")


def test_a_task_that_is_due_later_says_so(client, trace_id):
    due = datetime.now(UTC) + timedelta(hours=1)

    task = client.get_task(
        client.submit_task(trace_id, "later", run_at=due, timeout_seconds=5, max_attempts=2)
    )

    assert task["blocked_by"]["code"] == "due_later"
    assert datetime.fromisoformat(task["run_at"]) - due < timedelta(seconds=1)
    assert client.cancel_task(task["id"], reason="not needed")["status"] == "cancelled"


def test_a_time_without_its_zone_is_refused(client, trace_id):
    with pytest.raises(errors.InvalidInput, match="run_at needs a time zone"):
        client.submit_task(trace_id, "later", run_at=datetime(2030, 1, 1))  # noqa: DTZ001 - that is the point


def test_submitting_again_with_the_same_key_gives_the_same_task(client, trace_id):
    first = client.submit_task(trace_id, "once", idempotency_key="one")

    assert client.submit_task(trace_id, "once", idempotency_key="one") == first
    with pytest.raises(errors.IdempotencyMismatch):
        client.submit_task(trace_id, "other", idempotency_key="one")


def test_a_final_task_can_be_run_again(client, trace_id):
    first = submitted(client, trace_id, input=1)

    again = client.retry_task(first, input=2)

    assert client.wait(again, timeout=30)["result"]["input"] == 2
    assert client.get_task(again)["retry_of"] == first


def test_a_failed_task_says_why(client, workspace):
    task_id = client.submit_task(client.create_trace(workspace, "fails"), "fail")

    task = client.wait(task_id, timeout=30)

    assert (task["status"], task["reason"], task["error"]["message"]) == (
        "failed",
        "error",
        "no such column: amount",
    )


def test_lists_lead_from_page_to_page(client, trace_id, workspace):
    ids = [client.submit_task(trace_id, f"number {number}") for number in range(5)]

    first = client.list_tasks(trace_id=trace_id, limit=2)
    second = client.list_tasks(trace_id=trace_id, limit=2, cursor=first.next_cursor)

    assert isinstance(first, Page)
    assert [task["id"] for task in [*first, *second]] == ids[:0:-1]
    assert [task["id"] for task in client.iterate_tasks(workspace_id=workspace)] == ids[::-1]


def test_lists_take_every_filter(client, trace_id, workspace):
    task_id = submitted(client, trace_id, "find me", labels={"k": "v"})
    before, after = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)

    found = client.list_tasks(
        workspace_id=[workspace, "other"],
        trace_id=trace_id,
        agent_type=["echo", "fails"],
        status=["completed", "failed"],
        labels=[("k", "v")],
        q="find me",
        created_after=before,
        created_before=after,
    )
    traces = client.list_traces(
        workspace_id=workspace, status="idle", labels=[("team", "sales")], q="A title"
    )

    assert [task["id"] for task in found] == [task_id]
    assert client.list_tasks(workspace_id=workspace, status="failed") == []
    assert [trace["id"] for trace in traces] == [trace_id]
    assert trace_id in [trace["id"] for trace in client.iterate_traces()]


def test_many_tasks_are_cancelled_at_once(client, trace_id):
    due = datetime.now(UTC) + timedelta(hours=1)
    for number in range(3):
        client.submit_task(trace_id, f"n {number}", run_at=due, labels={"batch": "b"})
    wanted = {"trace_id": trace_id, "status": "pending", "labels": [("batch", "b")]}

    looked = client.cancel_or_retry_many("cancel", wanted, dry_run=True)
    done = client.cancel_or_retry_many("cancel", wanted)

    assert (looked["matched"], looked["done"], len(looked["sample"])) == (3, 0, 3)
    assert (done["matched"], done["done"], done["remaining"]) == (3, 3, 0)


def test_a_trace_can_be_changed_and_closed(client, trace_id):
    submitted(client, trace_id)

    changed = client.update_trace(trace_id, title="New", labels={"a": "b"})
    closed = client.close_trace(trace_id)

    assert (changed["title"], changed["labels"], changed["metadata"]) == ("New", {"a": "b"}, {"n": 1})
    assert (closed["status"], closed["task_counts"]["completed"]) == ("closed", 1)
    with pytest.raises(errors.Conflict) as caught:
        client.submit_task(trace_id, "too late")
    assert caught.value.data["current_status"] == "closed"


def test_events_and_steps_can_be_read(client, workspace):
    trace_id = client.create_trace(workspace, "writes")
    task_id = submitted(client, trace_id)

    page = client.read_events(task_id, limit=2)
    rest = client.list_events(task_id, after=2, wait=5)
    spans = client.list_spans(trace_id)

    assert [one["type"] for one in page["items"]] == ["task.submitted", "task.started"]
    assert page["final"]
    assert page["last_seq"] == rest[-1]["seq"] == client.get_task(task_id)["last_seq"]
    assert [span["name"] for span in spans["items"]] == ["write"]
    assert client.list_spans(trace_id, after=spans["next_after"])["items"] == []


def test_artifacts_can_be_fetched(client, workspace, tmp_path):
    task_id = submitted(client, client.create_trace(workspace, "writes"), "a report")

    [artifact] = client.list_artifacts(task_id)
    saved = client.download_artifact(task_id, artifact["id"], tmp_path)

    assert saved == tmp_path / "report.md"
    assert saved.read_bytes() == client.read_artifact(task_id, artifact["id"]) == b"# a report\n"
    assert client.share_task(task_id).startswith("http://gateway-host:8000/t/")
    with pytest.raises(errors.NotFound):
        client.download_artifact(task_id, "nothing", tmp_path)
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["report.md"]


# --- Workspaces and files ----------------------------------------------------------------------------------


def test_a_workspace_lives(client, workspace):
    made = client.create_workspace(workspace, title="Sales", quota_bytes=10, max_running=2, metadata={"a": 1})

    assert made == client.get_workspace(workspace)
    assert client.update_workspace(workspace, quota_bytes=None)["quota_bytes"] is None
    assert client.update_workspace(workspace, title="New")["max_running"] == 2
    assert client.archive_workspace(workspace)["status"] == "archived"
    with pytest.raises(errors.Conflict):
        client.create_trace(workspace, "echo")
    assert client.restore_workspace(workspace)["status"] == "active"
    assert workspace in [one["id"] for one in client.iterate_workspaces()]
    with pytest.raises(errors.AlreadyExists):
        client.create_workspace(workspace.upper())


CONTENT = bytes(range(256)) * 4096 + b"end"


class Unseekable(io.RawIOBase):
    """A pipe."""

    def __init__(self, content):
        self._content = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._content.readinto(buffer)


@pytest.mark.parametrize("kind", ["path", "text path", "bytes", "file", "middle of a file", "pipe", "empty"])
def test_files_go_in_and_come_out_as_they_were(client, workspace, tmp_path, kind):
    client.create_workspace(workspace)
    local = tmp_path / "local.bin"
    local.write_bytes(CONTENT)
    half = io.BytesIO(CONTENT)
    half.seek(1000)
    source, content = {
        "path": (local, CONTENT),
        "text path": (str(local), CONTENT),
        "bytes": (CONTENT, CONTENT),
        "file": (io.BytesIO(CONTENT), CONTENT),
        "middle of a file": (half, CONTENT[1000:]),
        "pipe": (Unseekable(CONTENT), CONTENT),
        "empty": (b"", b""),
    }[kind]
    up, down = [], []

    stored = client.upload_file(workspace, "a b/数据.bin", source, progress=lambda *seen: up.append(seen))
    saved = client.download_file(
        workspace, "a b/数据.bin", tmp_path, progress=lambda *seen: down.append(seen)
    )

    assert (stored["path"], stored["size"]) == ("a b/数据.bin", len(content))
    assert saved == tmp_path / "数据.bin"
    assert saved.read_bytes() == content
    with client.read_file(workspace, "a b/数据.bin") as file:
        assert file.read() == content
    if content:
        assert up[-1] == down[-1] == (len(content), len(content))


def test_folders_are_listed_and_files_removed(client, workspace):
    client.create_workspace(workspace)
    client.upload_file(workspace, "data/a.txt", b"a")
    client.upload_file(workspace, "b.txt", b"b")

    assert [(one["path"], one["kind"]) for one in client.list_files(workspace)] == [
        ("data", "dir"),
        ("b.txt", "file"),
    ]
    assert [one["path"] for one in client.list_files(workspace, "data")] == ["data/a.txt"]
    client.delete_file(workspace, "b.txt")
    with pytest.raises(errors.NotFound):
        client.delete_file(workspace, "b.txt")
    with pytest.raises(errors.IsDirectory):
        client.download_file(workspace, "data", "anywhere")


def test_a_file_is_replaced_only_if_it_is_the_one_that_was_seen(client, workspace):
    client.create_workspace(workspace)
    first = client.upload_file(workspace, "a", b"1", if_new=True)

    with pytest.raises(errors.PreconditionFailed):
        client.upload_file(workspace, "a", b"2", if_new=True)
    client.upload_file(workspace, "a", b"2", if_match=first["sha256"])
    with pytest.raises(errors.PreconditionFailed):
        client.upload_file(workspace, "a", b"3", if_match=first["sha256"])
    with pytest.raises(errors.PreconditionFailed):
        client.delete_file(workspace, "a", if_match=first["sha256"])


@pytest.mark.parametrize("path", ["../a", "a/../b", "./a", "/etc/passwd", "", "/"])
def test_a_path_that_leaves_the_workspace_is_refused(client, workspace, path):
    client.create_workspace(workspace)

    with pytest.raises(errors.InvalidInput):
        client.upload_file(workspace, path, b"x")


# --- The rest ----------------------------------------------------------------------------------------------


def test_agent_types_and_their_versions(client):
    names = [one["name"] for one in client.iterate_agent_types()]

    assert {"echo", "talks", "personal_assistant"} <= set(names)
    assert client.get_agent_type("ECHO")["name"] == "echo"
    assert [one["version"] for one in client.iterate_versions("echo")] == [1]
    assert [one["active"] for one in client.list_versions("echo")] == [True]


def test_who_i_am_and_how_it_goes(client):
    assert client.whoami()["workspaces"] is None
    assert client.pause()["paused"]
    assert not client.resume()["paused"]
    assert client.stats()["workers"]


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (lambda client: client.get_task("nothing"), errors.TaskNotFound),
        (lambda client: list(client.stream_events("nothing")), errors.TaskNotFound),
        (lambda client: client.wait("nothing"), errors.TaskNotFound),
        (lambda client: client.get_trace("nothing"), errors.TraceNotFound),
        (lambda client: client.submit_task("nothing", "x"), errors.TraceNotFound),
        (lambda client: client.get_workspace("nothing"), errors.WorkspaceNotFound),
        (lambda client: client.list_files("nothing"), errors.WorkspaceNotFound),
        (lambda client: client.create_trace("w", "nothing"), errors.AgentTypeNotFound),
        (lambda client: client.get_agent_type("nothing"), errors.AgentTypeNotFound),
    ],
)
def test_what_is_missing_is_named_by_its_class(client, ask, kind):
    with pytest.raises(kind) as caught:
        ask(client)
    assert caught.value.status == 404
    assert "Manager()" not in caught.value.hint


def test_a_wrong_key_and_a_narrow_one(running):
    reader = running.manage("create_api_key", "reader", "--scopes", "read")
    with GatewayClient(running.url, "gk_wrong_key") as wrong, pytest.raises(errors.NotSignedIn):
        wrong.whoami()
    with GatewayClient(running.url, reader) as narrow:
        assert narrow.whoami()["scopes"] == ["read"]
        with pytest.raises(errors.NotAllowed):
            narrow.create_trace("w", "echo")


def test_a_refused_field_is_named(client, trace_id):
    with pytest.raises(errors.InvalidInput) as caught:
        client.submit_task(trace_id, "   ")

    assert [one["field"] for one in caught.value.errors] == ["description"]


def test_the_client_imports_nothing_of_the_server():
    code = "import sys, gateway.client.python, gateway.client.python.cli; print(*sorted(sys.modules))"

    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()

    servers = {"django", "rest_framework", "lifecycle", "executor", "channels_app", "gatewaysite"}
    assert not servers & {name.partition(".")[0] for name in loaded}
    assert "gateway.core" not in loaded


def test_every_module_of_the_client_says_what_it_is():
    for path in Path(ROOT, "gateway/client").rglob("*.py"):
        assert re.match('"""', path.read_text()), path
