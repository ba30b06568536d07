"""``/workspaces``"""

import pytest

from lifecycle.models import Workspace
from tests import make

pytestmark = pytest.mark.django_db

FIELDS = {"id", "title", "status", "quota_bytes", "used_bytes", "max_running", "metadata", "created_at"}
PATH = "/api/v1/workspaces"


def test_a_workspace_is_made_and_found_again(api):
    body = {
        "id": "Team_1.a-b",
        "title": "数据组",
        "quota_bytes": 10,
        "max_running": 2,
        "metadata": {"a": [1, None]},
    }

    made = api.post(PATH, body, "json")

    assert made.status_code == 201
    assert made["Location"] == f"{PATH}/Team_1.a-b"
    assert set(made.json()) == FIELDS
    assert made.json() | body == made.json()
    assert made.json()["status"] == "active"
    assert made.json()["created_at"].endswith("Z")
    assert api.get(made["Location"]).json() == made.json()
    assert api.get(f"{PATH}/team_1.A-B").json()["id"] == "Team_1.a-b"


def test_only_an_id_is_needed(api):
    made = api.post(PATH, {"id": "w"}, "json").json()

    assert (made["title"], made["quota_bytes"], made["max_running"], made["metadata"]) == ("", None, 0, {})


@pytest.mark.parametrize("taken", ["taken", "TAKEN"])
def test_an_id_is_given_once_whatever_its_case(api, taken):
    make.a_workspace("taken")

    answer = api.post(PATH, {"id": taken}, "json")

    assert (answer.status_code, answer.json()["code"]) == (409, "already_exists")


@pytest.mark.parametrize("wrong", ["", "-a", ".a", "..", "a b", "a/b", "ü", "x" * 65, None, [], {}])
def test_what_is_no_slug_is_422(api, wrong):
    answer = api.post(PATH, {"id": wrong}, "json")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "id"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quota_bytes", -1), ("quota_bytes", 2**63), ("max_running", -1), ("max_running", None),
        ("max_running", 10**7), ("title", "x" * 201), ("metadata", []), ("metadata", "x"),
        ("status", "archived"), ("used_bytes", 1), ("nonsense", 1),
    ],
)  # fmt: skip
def test_a_wrong_field_is_422_and_named(api, field, value):
    make.a_workspace("there")

    for answer in (
        api.post(PATH, {"id": "w", field: value}, "json"),
        api.patch(f"{PATH}/there", {field: value}, "json"),
    ):
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == field
    assert not Workspace.objects.filter(pk="w").exists()


def test_a_change_leaves_what_it_does_not_name(api):
    api.post(PATH, {"id": "w", "title": "one", "quota_bytes": 5}, "json")

    assert api.patch(f"{PATH}/w", {"title": "two"}, "json").json()["quota_bytes"] == 5
    changed = api.patch(f"{PATH}/w", {"quota_bytes": None}, "json").json()

    assert (changed["title"], changed["quota_bytes"]) == ("two", None)
    assert api.patch(f"{PATH}/w", {"id": "other"}, "json").status_code == 422


def test_an_archived_workspace_takes_nothing_new_until_it_is_restored(api):
    make.a_trace("w")
    trace = {"workspace_id": "w", "agent_type": "echo"}

    assert api.post(f"{PATH}/w/archive").json()["status"] == "archived"
    assert api.post(f"{PATH}/w/archive").status_code == 200  # again changes nothing
    refused = api.post("/api/v1/traces", trace, "json")
    assert (refused.status_code, refused.json()["current_status"]) == (409, "archived")
    assert api.post(f"{PATH}/w/restore").json()["status"] == "active"
    assert api.post("/api/v1/traces", trace, "json").status_code == 201


def test_they_are_listed_newest_first(api):
    for name in ("a", "b", "c"):
        api.post(PATH, {"id": name}, "json")

    listed = api.get(PATH).json()

    assert [one["id"] for one in listed["items"]] == ["c", "b", "a"]
    assert set(listed["items"][0]) == FIELDS
    assert listed["next_cursor"] is None
