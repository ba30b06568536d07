"""Workspaces: their ids, limits, files and quota."""

from __future__ import annotations

import io
import math

import pytest

from gateway.errors import AlreadyExists, Conflict, InvalidInput, NotAllowed, QuotaExceeded, WorkspaceNotFound
from lifecycle.actors import Actor
from lifecycle.models import Workspace
from lifecycle.workspace_manager import WorkspaceManager, folder_of
from tests import make

pytestmark = pytest.mark.django_db
manager = WorkspaceManager()


def test_a_workspace_is_shown_as_it_was_made(data_dir):
    made = manager.create_workspace(
        "user_001", title=" Sales ", quota_bytes=10, max_running=3, metadata={"a": [1]}
    )

    assert made == manager.get_workspace("USER_001")
    assert made == {
        "id": "user_001", "title": "Sales", "status": "active", "quota_bytes": 10, "used_bytes": 0,
        "max_running": 3, "metadata": {"a": [1]}, "created_at": made["created_at"],
    }  # fmt: skip
    assert (data_dir / "workspaces" / "user_001").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("id", ["a", "A.b-c_9", "x" * 64, "9lives"])
def test_a_slug_is_an_id(id):
    assert manager.create_workspace(id)["id"] == id


@pytest.mark.parametrize(
    "id", ["", " a", "a b", "-a", ".a", "_a", "..", "a/b", "ä", "x" * 65, "a\n", "a\x00", None, 7, "\ud800"]
)
def test_anything_else_is_none(id):
    with pytest.raises(InvalidInput) as refused:
        manager.create_workspace(id)

    assert refused.value.errors[0]["field"] == "id"
    assert "1 to 64 letters" in refused.value.hint


@pytest.mark.parametrize("id", ["user_001", "User_001"])
def test_an_id_is_taken_once_whatever_its_case(id):
    manager.create_workspace("user_001")

    with pytest.raises(AlreadyExists) as refused:
        manager.create_workspace(id)

    assert refused.value.errors == [{"field": "id", "message": "is taken"}]
    assert Workspace.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": "x" * 201}, "title"),
        ({"title": 5}, "title"),
        ({"quota_bytes": -1}, "quota_bytes"),
        ({"quota_bytes": 1.5}, "quota_bytes"),
        ({"max_running": -1}, "max_running"),
        ({"max_running": 10**7}, "max_running"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"x": math.nan}}, "metadata"),
        ({"metadata": {"x": "y" * 70_000}}, "metadata"),
    ],
    ids=str,
)
def test_a_bad_field_is_refused_by_name(fields, field):
    with pytest.raises(InvalidInput) as refused:
        manager.create_workspace("user_001", **fields)

    assert refused.value.errors[0]["field"] == field
    assert not Workspace.objects.exists()


@pytest.mark.parametrize("id", ["nobody", "", "a\x00b", "\ud800", None, "x" * 5000])
def test_an_unknown_workspace_is_not_found(id):
    with pytest.raises(WorkspaceNotFound) as refused:
        manager.get_workspace(id)

    assert "create_workspace" in refused.value.hint


def test_workspaces_are_listed_newest_first():
    for id in ("one", "two", "three"):
        manager.create_workspace(id)

    assert [one["id"] for one in manager.list_workspaces(limit=2)] == ["three", "two"]


@pytest.mark.parametrize("limit", [0, 201, "5", True])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(InvalidInput):
        manager.list_workspaces(limit=limit)


@pytest.mark.parametrize(
    "verb",
    [
        lambda actor: manager.create_workspace("new", actor=actor),
        lambda actor: manager.upload_file("user_001", "a", b"", actor=actor),
    ],
)
def test_a_reader_changes_nothing(verb):
    make.a_workspace()

    with pytest.raises(NotAllowed):
        verb(Actor.limited("reader", ["read"], None))


# --- Files -------------------------------------------------------------------------------------------------


def test_a_file_comes_back_as_it_went_in(tmp_path):
    make.a_workspace()
    local = tmp_path / "local.bin"
    local.write_bytes(bytes(range(256)))

    sent = [
        manager.upload_file("user_001", "a/b/c.bin", local),
        manager.upload_file("USER_001", "数据.csv", "é,1".encode()),
        manager.upload_file("user_001", "stream", io.BytesIO(b"x" * 3_000_000)),
    ]

    assert [one["path"] for one in sent] == ["a/b/c.bin", "数据.csv", "stream"]
    assert [one["size"] for one in sent] == [256, 4, 3_000_000]
    with manager.read_file("user_001", "a/b/c.bin") as file:
        assert file.read() == bytes(range(256))
    assert [(one["kind"], one["path"]) for one in manager.list_files("user_001")] == [
        ("dir", "a"), ("file", "stream"), ("file", "数据.csv"),
    ]  # fmt: skip
    assert [one["path"] for one in manager.list_files("user_001", "a/b")] == ["a/b/c.bin"]


def test_a_file_over_the_quota_is_refused_and_leaves_nothing():
    make.a_workspace(quota_bytes=10)
    manager.upload_file("user_001", "a", b"123456")

    with pytest.raises(QuotaExceeded, match="more than the 4 bytes") as refused:
        manager.upload_file("user_001", "b", b"12345")

    assert "quota" in refused.value.hint
    assert [one["path"] for one in manager.list_files("user_001")] == ["a"]
    manager.upload_file("user_001", "b", b"1234")


def test_a_file_that_is_replaced_frees_its_own_place():
    make.a_workspace(quota_bytes=10)
    manager.upload_file("user_001", "a", b"12345678")

    manager.upload_file("user_001", "a", b"abcdefgh")

    with manager.read_file("user_001", "a") as file:
        assert file.read() == b"abcdefgh"


def test_a_file_over_the_upload_limit_is_refused(settings):
    settings.GATEWAY_MAX_UPLOAD_MB = 1
    make.a_workspace()

    with pytest.raises(QuotaExceeded):
        manager.upload_file("user_001", "a", b"x" * (1024 * 1024 + 1))


def test_a_quota_that_is_used_up_takes_empty_files_only():
    make.a_workspace(quota_bytes=0)

    manager.upload_file("user_001", "empty", b"")
    with pytest.raises(QuotaExceeded):
        manager.upload_file("user_001", "full", b"x")


def test_an_archived_workspace_takes_no_files():
    make.a_workspace(status="archived")

    with pytest.raises(Conflict, match="archived"):
        manager.upload_file("user_001", "a", b"")


def test_what_a_workspace_uses_is_counted_also_what_an_agent_wrote_itself():
    manager = WorkspaceManager()
    manager.create_workspace("used")
    manager.upload_file("used", "a.txt", b"12345")
    (folder_of("used") / "by_an_agent.txt").write_text("678")

    assert manager.get_workspace("used")["used_bytes"] == 8
    assert manager.list_workspaces()[0]["used_bytes"] == 5

    manager.delete_file("used", "a.txt")

    assert manager.list_workspaces()[0]["used_bytes"] == 0  # what agents write is not added up
    assert manager.get_workspace("used")["used_bytes"] == 3
