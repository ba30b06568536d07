"""``/agent-types``"""

import pytest

from tests import make

pytestmark = pytest.mark.django_db

FIELDS = {
    "name", "title", "description", "enabled", "version", "source", "problem", "runner_kind", "limits",
    "settings", "input_schema",
}  # fmt: skip
PATH = "/api/v1/agent-types"


def test_they_are_listed_and_found_whatever_their_case(api):
    make.an_agent_type("one", max_attempts=7)
    make.an_agent_type("two", enabled=False)

    listed = api.get(PATH).json()
    found = api.get(f"{PATH}/ONE").json()

    assert {one["name"]: one["enabled"] for one in listed["items"]} == {"one": True, "two": False}
    assert set(found) == FIELDS
    assert found in listed["items"]
    assert (found["version"], found["runner_kind"], found["limits"]["max_attempts"]) == (1, "python", 7)
    assert api.get(f"{PATH}/three").status_code == 404


def test_their_versions_are_listed_newest_first(api):
    for _ in range(3):
        make.an_agent_type("one")

    listed = api.get(f"{PATH}/one/versions").json()
    page = api.get(f"{PATH}/one/versions?limit=2").json()

    assert [one["version"] for one in listed["items"]] == [3, 2, 1]
    assert page["items"] == listed["items"][:2]
    rest = api.get(f"{PATH}/one/versions?limit=2&cursor={page['next_cursor']}").json()
    assert rest == {"items": listed["items"][2:], "next_cursor": None}


def test_they_are_shown_page_by_page(api):
    for number in range(5):
        make.an_agent_type(f"type{number}")
    seen, cursor = [], ""

    while cursor is not None:
        page = api.get(f"{PATH}?limit=2{cursor and f'&cursor={cursor}'}").json()
        seen += [one["name"] for one in page["items"]]
        cursor = page["next_cursor"]

    assert len(seen) == len(set(seen)) == 5


def test_a_disabled_type_says_so_in_its_tasks(api):
    trace = make.a_trace(agent_type=make.an_agent_type("off", enabled=False))

    task = api.post("/api/v1/tasks", {"trace_id": str(trace.pk), "description": "x"}, "json")

    assert task.status_code == 201
    assert task.json()["blocked_by"]["code"] == "agent_type_disabled"
