"""``/traces``"""

import pytest

from tests import make

pytestmark = pytest.mark.django_db

FIELDS = {
    "id", "workspace_id", "agent_type", "title", "parent_id", "status", "labels", "metadata",
    "task_counts", "usage", "created_at", "closed_at",
}  # fmt: skip
PATH = "/api/v1/traces"


@pytest.fixture(autouse=True)
def _agent(db):
    make.an_agent_type()


def made(api, **fields):
    return api.post(PATH, {"workspace_id": "w", "agent_type": "echo", **fields}, "json")


def ids(answer):
    assert answer.status_code == 200, answer.content
    return [one["id"] for one in answer.json()["items"]]


def test_a_trace_is_made_and_found_again(api):
    parent = made(api).json()["id"]

    answer = made(api, title="季度", parent_id=parent, labels={"team": "a"}, metadata={"n": 1})

    trace = answer.json()
    assert answer.status_code == 201
    assert answer["Location"] == f"{PATH}/{trace['id']}"
    assert set(trace) == FIELDS
    assert (trace["parent_id"], trace["status"], trace["closed_at"]) == (parent, "idle", None)
    assert api.get(answer["Location"]).json() == trace
    assert api.get("/api/v1/workspaces/w").status_code == 200  # made with it


def test_a_workspace_is_not_made_where_that_is_switched_off_or_the_key_is_limited(api, client_with, settings):
    make.a_workspace("mine")
    limited = client_with("read", "submit", workspaces=["mine"])
    assert made(limited, workspace_id="new").status_code == 404
    assert made(limited, workspace_id="mine").status_code == 201

    settings.GATEWAY_AUTO_CREATE_WORKSPACES = False

    refused = made(api, workspace_id="new")
    assert refused.status_code == 404
    assert refused.json()["errors"][0]["field"] == "workspace_id"


@pytest.mark.parametrize(("field", "value", "status"), [
    ("agent_type", "unknown", 404), ("parent_id", "01a21202-8f2c-7000-8000-000000000000", 404),
    ("parent_id", "x", 404), ("workspace_id", "a b", 422),
    ("title", "x" * 201, 422), ("labels", {"a": 1}, 422), ("metadata", [], 422), ("status", "closed", 422),
])  # fmt: skip
def test_a_wrong_field_is_refused_and_named(api, field, value, status):
    answer = made(api, **{field: value})

    assert answer.status_code == status
    if field != "agent_type":
        assert answer.json()["errors"][0]["field"].split(".")[0] == field


def test_a_trace_is_changed_and_closed(api):
    trace = made(api, title="one", labels={"a": "b"}).json()
    path = f"{PATH}/{trace['id']}"

    changed = api.patch(path, {"title": "two"}, "json").json()
    assert changed == trace | {"title": "two"}
    task = api.post("/api/v1/tasks", {"trace_id": trace["id"], "description": "x"}, "json").json()
    busy = api.post(f"{path}/close")
    assert (busy.status_code, busy.json()["code"]) == (409, "conflict")
    assert busy.json()["current_status"]
    api.post(f"/api/v1/tasks/{task['id']}/cancel")
    closed = api.post(f"{path}/close").json()
    assert closed["status"] == "closed"
    assert closed["closed_at"]
    assert api.post(f"{path}/close").json() == closed  # again changes nothing
    refused = api.post("/api/v1/tasks", {"trace_id": trace["id"], "description": "x"}, "json")
    assert (refused.status_code, refused.json()["current_status"]) == (409, "closed")


def test_filters_narrow_the_list_and_repeated_ones_widen_it(api):
    make.an_agent_type("other")
    one = made(api, title="季度报告", labels={"team": "a", "x": "1"}).json()["id"]
    two = made(api, workspace_id="v", title="50% off_", labels={"team": "b"}).json()["id"]
    three = made(api, agent_type="other").json()["id"]
    api.post(f"{PATH}/{three}/close")

    def found(query):
        return ids(api.get(f"{PATH}?{query}"))

    assert found("workspace_id=v") == [two]
    assert found("workspace_id=V&workspace_id=w") == [three, two, one]
    assert found("agent_type=other") == [three]
    assert found("agent_type=other&agent_type=echo") == [three, two, one]
    assert found("status=closed") == [three]
    assert found("status=idle&status=closed") == [three, two, one]
    assert found("label=team:a") == [one]
    assert found("label=team:a&label=team:b") == [two, one]
    assert found("label=team:a&label=x:2") == []
    assert found("q=季度") == [one]
    assert found("q=%25") == [two]
    assert found("q=_") == [two]
    assert found(f"q={one}") == [one]
    assert found("workspace_id=w&status=idle") == [one]
    moment = api.get(f"{PATH}/{two}").json()["created_at"].replace("Z", "+00:00").replace("+", "%2B")
    assert three in found(f"created_after={moment}")
    assert one not in found(f"created_after={moment}")
    assert three not in found(f"created_before={moment}")


def test_the_tasks_and_spans_of_a_trace(api):
    task, _claim = make.a_claimed_task()
    path = f"{PATH}/{task.trace_id}"

    tasks = api.get(f"{path}/tasks").json()
    spans = api.get(f"{path}/spans").json()

    assert [one["id"] for one in tasks["items"]] == [str(task.pk)]
    assert api.get(f"{path}/tasks?status=pending").json()["items"] == []
    assert set(spans) == {"items", "next_after"}
    assert api.get(f"{path}/spans?after={spans['next_after']}").json()["items"] == []
    for query in ("after=-1", "after=x", "limit=0", "limit=1001", "nonsense=1"):
        answer = api.get(f"{path}/spans?{query}")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


def test_a_span_has_all_its_fields_and_comes_again_when_it_changed(site):
    task = site.run("maker")
    path = f"/traces/{task['trace_id']}/spans"

    spans = site.get(path).json()

    tool = next(one for one in spans["items"] if one["kind"] == "tool")
    assert set(tool) == {
        "id", "parent_id", "trace_id", "task_id", "kind", "name", "status", "started_at", "ended_at",
        "input", "output", "model", "usage", "error",
        "attributes",
    }  # fmt: skip
    assert (tool["name"], tool["status"], tool["input"], tool["output"]) == ("write", "ok", {"n": 1}, "done")
    assert len(tool["id"]) == 16
    assert site.get(f"{path}?after={spans['next_after']}").json() == {
        "items": [],
        "next_after": spans["next_after"],
    }
    first = site.get(f"{path}?limit=1").json()
    assert len(first["items"]) == 1
