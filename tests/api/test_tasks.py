"""``/tasks``"""

import re
import threading
from datetime import UTC, datetime, timedelta

import pytest

from tests import make

pytestmark = pytest.mark.django_db

FIELDS = {
    "id", "trace_id", "workspace_id", "agent_type", "agent_version", "description", "input", "status",
    "reason", "priority", "run_at", "created_at",
    "started_at", "finished_at", "attempt", "max_attempts", "progress", "result", "error", "last_seq",
    "labels", "actor", "schedule_id",
    "parent_task_id", "retry_of", "usage", "blocked_by", "asks", "url",
}  # fmt: skip
PATH = "/api/v1/tasks"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture
def trace(db):
    return str(make.a_trace().pk)


def submitted(api, trace, **fields):
    return api.post(PATH, {"trace_id": trace, "description": "Say hello", **fields}, "json")


def ids(answer):
    assert answer.status_code == 200, answer.content
    return [one["id"] for one in answer.json()["items"]]


def test_a_task_is_submitted_and_found_again(api, trace):
    soon = datetime.now(UTC) + timedelta(hours=1)
    fields = {
        "description": "分析销售数据", "input": {"a": [1, None, "é"]}, "priority": 5,
        "run_at": soon.isoformat(), "timeout_seconds": 1.5, "max_attempts": 2, "on_busy": "enqueue",
        "labels": {"team": "a"},
    }  # fmt: skip

    answer = submitted(api, trace, **fields)

    task = answer.json()
    assert answer.status_code == 201
    assert answer["Location"] == f"{PATH}/{task['id']}"
    assert set(task) == FIELDS
    assert set(task["usage"]) == {"input_tokens", "output_tokens", "cost", "currency"}
    for name in ("description", "input", "priority", "max_attempts", "labels"):
        assert task[name] == fields[name]
    assert (task["status"], task["attempt"], task["last_seq"], task["actor"]) == (
        "pending",
        0,
        1,
        "key:tests",
    )
    assert task["blocked_by"]["code"] == "due_later"
    assert TIME.fullmatch(task["run_at"])
    assert TIME.fullmatch(task["created_at"])
    assert datetime.fromisoformat(task["run_at"]) == pytest.approx(soon, abs=timedelta(milliseconds=1))
    assert task["url"].endswith(f"/t/{task['id']}")
    assert api.get(answer["Location"]).json() == task


def test_surrounding_space_is_no_part_of_a_description(api, trace):
    assert submitted(api, trace, description="  a\n b \n").json()["description"] == "a\n b"


def test_a_busy_trace_refuses_who_asked_for_that(api):
    active, _claim = make.a_claimed_task()

    answer = submitted(api, str(active.trace_id), on_busy="reject")

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "busy")
    assert (problem["reason"], problem["active_task_id"]) == ("running", str(active.pk))
    assert submitted(api, str(active.trace_id)).json()["blocked_by"]["code"] == "trace_busy"


def test_an_interruption_cancels_the_active_task(api):
    active, _claim = make.a_claimed_task()

    assert submitted(api, str(active.trace_id), on_busy="interrupt").status_code == 201

    task = api.get(f"{PATH}/{active.pk}").json()
    assert (task["status"], task["reason"]) == ("cancelling", "superseded")


def test_an_input_that_does_not_fit_the_agent_is_422(api):
    make.an_agent_type(
        "strict", input_schema={"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    )
    trace = str(make.a_trace(agent_type="strict").pk)

    assert submitted(api, trace, input={"n": 1}).status_code == 201
    for wrong in ({"n": "x"}, {}, None, 5):
        answer = submitted(api, trace, input=wrong)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"].startswith("input")


def test_a_pending_task_is_cancelled_and_again_changes_nothing(api, trace):
    task = submitted(api, trace).json()

    cancelled = api.post(f"{PATH}/{task['id']}/cancel", {"reason": "not needed"}, "json")
    again = api.post(f"{PATH}/{task['id']}/cancel", {}, "json")

    assert cancelled.status_code == 200
    assert (cancelled.json()["status"], cancelled.json()["reason"]) == ("cancelled", "requested")
    assert (again.status_code, again.json()) == (200, cancelled.json())
    event = api.get(f"{PATH}/{task['id']}/events").json()["items"][-1]
    assert (event["type"], event["data"]["note"], event["data"]["actor"]) == (
        "task.cancelled",
        "not needed",
        "key:tests",
    )


@pytest.mark.parametrize(
    "body",
    [
        {"wait": -1},
        {"wait": 31},
        {"wait": "x"},
        {"reason": "x" * 1001},
        {"reason": 5.5, "nonsense": 1},
        {"nonsense": 1},
    ],
)
def test_a_wrong_cancellation_is_422_and_named(api, trace, body):
    task = submitted(api, trace).json()

    answer = api.post(f"{PATH}/{task['id']}/cancel", body, "json")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] in body
    assert api.get(f"{PATH}/{task['id']}").json()["status"] == "pending"


def test_a_final_task_is_run_again_as_a_new_one(api, trace):
    task = submitted(api, trace, input={"a": 1}, labels={"x": "y"}, priority=3).json()
    early = api.post(f"{PATH}/{task['id']}/retry")
    assert (early.status_code, early.json()["current_status"]) == (409, "pending")
    api.post(f"{PATH}/{task['id']}/cancel")

    answer = api.post(f"{PATH}/{task['id']}/retry")
    changed = api.post(f"{PATH}/{task['id']}/retry", {"input": {"a": 2}}, "json")

    retried = answer.json()
    assert answer.status_code == 201
    assert answer["Location"] == f"{PATH}/{retried['id']}"
    assert (retried["retry_of"], retried["input"], retried["labels"], retried["priority"]) == (
        task["id"],
        {"a": 1},
        {"x": "y"},
        3,
    )
    assert changed.json()["input"] == {"a": 2}


def test_events_come_in_pages_in_order(api, trace):
    task = submitted(api, trace).json()
    api.post(f"{PATH}/{task['id']}/cancel")
    path = f"{PATH}/{task['id']}/events"

    whole = api.get(path).json()

    assert set(whole) == {"items", "last_seq", "final"}
    assert (whole["last_seq"], whole["final"]) == (2, True)
    assert [one["type"] for one in whole["items"]] == ["task.submitted", "task.cancelled"]
    assert set(whole["items"][0]) == {"seq", "type", "data", "attempt", "at"}
    assert api.get(f"{path}?limit=1").json()["items"] == whole["items"][:1]
    assert api.get(f"{path}?after=1").json()["items"] == whole["items"][1:]
    assert api.get(f"{path}?after=-1").json()["items"] == whole["items"]
    assert api.get(f"{path}?after=2147483647").json()["items"] == []
    for query in (
        "after=-2",
        "after=x",
        "after=2147483648",
        "limit=0",
        "limit=1001",
        "nonsense=1",
        "after=%00",
    ):
        answer = api.get(f"{path}?{query}")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


def test_filters_narrow_the_list_and_repeated_ones_widen_it(api):
    make.an_agent_type("other")
    one = submitted(api, str(make.a_trace("w").pk), description="分析销售数据", labels={"team": "a"}).json()
    two = submitted(
        api, str(make.a_trace("v").pk), description="100% sure_", labels={"team": "b", "a.b": "c:d"}
    ).json()
    three = submitted(api, str(make.a_trace("w", "other").pk), description="Third").json()
    api.post(f"{PATH}/{three['id']}/cancel")
    one, two, three = one["id"], two["id"], three["id"]

    def found(query):
        return ids(api.get(f"{PATH}?{query}"))

    assert found("") == [three, two, one]
    assert found("workspace_id=V") == [two]
    assert found("workspace_id=v&workspace_id=w") == [three, two, one]
    assert found("agent_type=other") == [three]
    assert found("status=cancelled") == [three]
    assert found("status=cancelled&status=pending") == [three, two, one]
    assert found("label=team:a&label=team:b") == [two, one]
    assert found("label=a.b:c:d") == [two]
    assert found("q=销售") == [one]
    assert found("q=third") == [three]
    assert found("q=%25") == [two]
    assert found(f"q={two}") == [two]
    assert found(f"q={two.upper()}") == [two]
    trace = api.get(f"{PATH}/{one}").json()["trace_id"]
    assert found(f"trace_id={trace}") == [one]
    moment = api.get(f"{PATH}/{two}").json()["created_at"]
    assert one not in found(f"created_after={moment}")
    assert three not in found(f"created_before={moment}")
    assert found("created_after=2099-01-01T00:00:00Z") == []
    assert found("created_after=2000-01-01T08:00:00%2B08:00") == [three, two, one]
    assert api.get(f"{PATH}?trace_id=nonsense").status_code == 404


@pytest.mark.parametrize("path", [PATH, "/api/v1/traces", "/api/v1/workspaces"])
@pytest.mark.parametrize("limit", [1, 3, 7, 200])
def test_paging_shows_each_row_that_was_there_once_while_others_come(api, path, limit):
    for number in range(17):
        make.a_task(make.a_trace(f"w{number}"))
    there = ids(api.get(f"{path}?limit=200"))
    seen, cursor, pages = [], "", 0

    while cursor is not None:
        page = api.get(f"{path}?limit={limit}{cursor and f'&cursor={cursor}'}").json()
        assert len(page["items"]) <= limit
        seen += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
        pages += 1
        make.a_task(make.a_trace(f"new{pages}"))

    assert seen == there
    assert pages == -(-17 // limit)


def test_many_are_cancelled_or_run_again_at_once(api, trace):
    pending = [
        submitted(api, str(make.a_trace("w").pk), labels={"batch": "1"}).json()["id"] for _ in range(4)
    ]
    other = submitted(api, trace).json()["id"]
    body = {"action": "cancel", "filter": {"label": "batch:1"}}

    dry = api.post(f"{PATH}/bulk", {**body, "dry_run": True}, "json").json()
    assert (dry["matched"], dry["done"], dry["remaining"]) == (4, 0, 4)
    assert set(dry["sample"]) == set(pending)
    done = api.post(f"{PATH}/bulk", body, "json").json()
    assert (done["matched"], done["done"], done["skipped"], done["remaining"]) == (4, 4, [], 0)
    assert api.get(f"{PATH}/{other}").json()["status"] == "pending"
    again = api.post(
        f"{PATH}/bulk", {"action": "retry", "filter": {"label": "batch:1", "status": "cancelled"}}, "json"
    ).json()
    assert again["done"] == 4
    assert len(ids(api.get(f"{PATH}?label=batch:1&status=pending"))) == 4


@pytest.mark.parametrize("body", [
    {}, {"action": "cancel"}, {"action": "delete", "filter": {}}, {"filter": {}},
    {"action": "cancel", "filter": []}, {"action": "cancel", "filter": {"nonsense": 1}},
    {"action": "cancel", "filter": {"status": "nonsense"}},
    {"action": "cancel", "filter": {}, "nonsense": 1},
    {"action": "cancel", "filter": {}, "dry_run": "perhaps"},
    {"action": "cancel", "filter": {"label": "x"}}, {"action": "cancel", "filter": {"created_after": "x"}},
    {"action": "cancel", "filter": None},
])  # fmt: skip
def test_a_wrong_bulk_is_422_and_changes_nothing(api, trace, body):
    task = submitted(api, trace).json()

    answer = api.post(f"{PATH}/bulk", body, "json")

    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"]
    assert api.get(f"{PATH}/{task['id']}").json()["status"] == "pending"


def test_a_task_is_shared_by_a_link(api, trace, settings):
    task = submitted(api, trace).json()

    url = api.post(f"{PATH}/{task['id']}/share").json()["url"]
    assert url.startswith(f"http://testserver/t/{task['id']}?share=")
    settings.GATEWAY_PUBLIC_URL = "https://gateway.example"
    url = api.post(f"{PATH}/{task['id']}/share", {"expires_seconds": 60}, "json").json()["url"]
    assert url.startswith(f"https://gateway.example/t/{task['id']}?share=")
    for wrong in (59, 10**9, "x", None):
        assert api.post(f"{PATH}/{task['id']}/share", {"expires_seconds": wrong}, "json").status_code == 422


# --- on a real server --------------------------------------------------------------------------------------


def test_a_task_runs_and_its_result_and_error_are_told(site):
    done = site.run("echo", {"a": 1})
    failed = site.run("fails")

    assert (done["status"], done["reason"], done["error"], done["attempt"]) == ("completed", None, None, 1)
    assert done["result"] == {"description": "A task of the tests", "input": {"a": 1}}
    assert done["agent_version"] == 1
    assert (failed["status"], failed["reason"]) == ("failed", "error")
    assert set(failed["error"]) == {"code", "message", "detail", "retryable"}
    assert failed["error"]["message"] == "on purpose"
    assert failed["error"]["detail"]["exception"] == "RuntimeError"
    assert "on purpose" in failed["error"]["detail"]["traceback"]


def test_a_number_beyond_64_bits_in_an_input_stops_nobody(site):
    task = site.run("echo", {"n": 10**30, "half": "x"})

    assert task["result"]["input"]["n"] == 10**30
    assert task["id"] in [one["id"] for one in site.get("/tasks").json()["items"]]


def test_a_running_task_is_cancelled_and_waited_for(site):
    gate = site.gate()
    task_id = site.submit("gated", {"gate": str(gate)})
    site.until(lambda: site.get(f"/tasks/{task_id}").json()["status"] == "running", "it runs")

    task = site.post(f"/tasks/{task_id}/cancel", {"wait": 30}).json()

    assert (task["status"], task["reason"]) == ("cancelled", "requested")


def test_while_paused_nothing_starts_and_resume_starts_it(site):
    gate = site.gate()
    running = site.submit("gated", {"gate": str(gate)})
    site.until(lambda: site.get(f"/tasks/{running}").json()["status"] == "running", "it runs")
    try:
        paused = site.post("/pause")
        assert (paused.status_code, paused.json()["paused"], paused.json()["paused_by"]) == (
            200,
            True,
            "key:tests",
        )
        assert site.post("/pause").json()["paused"] is True
        waiting = site.submit("echo")
        gate.touch()  # what runs goes on
        assert site.final(running)["status"] == "completed"
        threading.Event().wait(1)
        task = site.get(f"/tasks/{waiting}").json()
        assert (task["status"], task["attempt"], task["blocked_by"]["code"]) == ("pending", 0, "paused")
        assert "resume" in task["blocked_by"]["message"]
        assert site.get("/stats").json()["paused"] is True
    finally:
        resumed = site.post("/resume")
    assert (resumed.status_code, resumed.json()["paused"], resumed.json()["paused_by"]) == (200, False, None)
    assert site.final(waiting)["status"] == "completed"


def test_stats_tell_how_the_engine_stands(site):
    stats = site.get("/stats").json()

    assert set(stats) == {"tasks", "oldest_due_at", "workers", "paused", "paused_by"}
    assert set(stats["tasks"]) >= {"pending", "running", "waiting", "cancelling"}
    assert set(stats["workers"][0]) >= {"name", "host", "pid", "slots", "running"}
