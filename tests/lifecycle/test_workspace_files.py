"""Files of a workspace: nothing outside it is reached, however the path is written or a link is swapped."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from gateway.errors import InvalidInput, IsDirectory, NotFound
from lifecycle import workspace_files
from lifecycle.workspace_files import TooLarge, listing, open_file, parts_of, size_of, write
from tests.threads import together


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


def content(root: Path, path: str) -> bytes:
    with open_file(root, path) as file:
        return file.read()


# --- Paths -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("a", ["a"]),
        ("a/b//c/", ["a", "b", "c"]),
        ("./a/./b", ["a", "b"]),
        ("", []),
        ("数据/🙂.csv", ["数据", "🙂.csv"]),
        ("..a/b..", ["..a", "b.."]),
        ("%2e%2e/a", ["%2e%2e", "a"]),
        ("x" * 255, ["x" * 255]),
    ],
)
def test_a_path_inside_has_parts(path, parts):
    assert parts_of(path) == parts


OUTSIDE = [
    "..", "../secret", "a/../../secret", "a/..", "/etc/passwd", "/", "..\\secret", "a\\b", "a\x00b", "\x00",
    "x" * 256, "长" * 86, None, 5, b"a",
]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE, ids=repr)
def test_a_path_that_could_leave_is_refused(root, path):
    with pytest.raises(InvalidInput) as refused:
        open_file(root, path)

    assert refused.value.errors[0]["field"] == "path"
    for use in (lambda: write(root, path, b"x", limit=10), lambda: listing(root, path)):
        with pytest.raises(InvalidInput):
            use()
    assert (root.parent / "secret").read_text() == "secret"


# --- Reading -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["missing", "missing/file", "", ".", "file/below"])
def test_what_is_no_file_is_not_found(root, path):
    (root / "file").write_text("x")

    with pytest.raises(NotFound):
        open_file(root, path)


def test_a_folder_is_told_from_what_is_not_there(root):
    (root / "folder").mkdir()

    with pytest.raises(IsDirectory):
        open_file(root, "folder")


@pytest.mark.parametrize(
    ("link", "target"),
    [("link", "../secret"), ("link", "/etc/passwd"), ("link", "file"), ("link", "missing"), ("link", "link")],
)
def test_a_link_is_never_followed_wherever_it_leads(root, link, target):
    (root / "file").write_text("inside")
    (root / link).symlink_to(target)

    with pytest.raises(NotFound):
        open_file(root, link)


def test_a_link_to_a_folder_is_never_followed(root):
    (root / "out").symlink_to("../outside")

    with pytest.raises(NotFound):
        open_file(root, "out/secret")
    with pytest.raises(NotFound):
        listing(root, "out")
    with pytest.raises(InvalidInput):
        write(root, "out/new", b"x", limit=10)
    assert not (root.parent / "outside" / "new").exists()


def test_a_fifo_is_refused_without_waiting_for_it(root):
    os.mkfifo(root / "pipe")

    with pytest.raises(NotFound):
        open_file(root, "pipe")
    assert listing(root, "") == []


def test_a_link_that_is_swapped_in_at_the_last_moment_leads_nowhere(root):
    (root / "data").mkdir()
    (root / "data" / "secret").write_text("inside")
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            os.rename(root / "data", root / "kept")
            os.symlink("../outside", root / "data")
            os.unlink(root / "data")
            os.rename(root / "kept", root / "data")

    def read() -> set[bytes]:
        seen = set()
        try:
            for _ in range(3000):
                try:
                    seen.add(content(root, "data/secret"))
                except NotFound:
                    continue
        finally:
            stop.set()
        return seen

    _, seen = together(swap, read)

    assert seen <= {b"inside"}
    assert content(root, "data/secret") == b"inside"


def test_a_file_swapped_for_a_link_is_never_written_through(root):
    (root / "file").symlink_to("../secret")

    write(root, "file", b"mine", limit=10)

    assert (root.parent / "secret").read_text() == "secret"
    assert not (root / "file").is_symlink()
    assert content(root, "file") == b"mine"


# --- Writing -----------------------------------------------------------------------------------------------


def test_a_file_is_replaced_whole(root):
    write(root, "a/b", b"long content", limit=100)

    written = write(root, "a/b", b"new", limit=100)

    assert content(root, "a/b") == b"new"
    assert written["size"] == 3
    assert (root / "a" / "b").stat().st_mode & 0o777 == 0o600


def test_what_is_too_large_leaves_the_old_file_and_no_draft(root):
    write(root, "a", b"old", limit=10)

    with pytest.raises(TooLarge):
        write(root, "a", b"x" * 11, limit=10)

    assert content(root, "a") == b"old"
    assert os.listdir(root) == ["a"]


def test_a_source_that_breaks_leaves_the_old_file_and_no_draft(root):
    write(root, "a", b"old", limit=10)

    class Broken:
        def read(self, size: int) -> bytes:
            raise ConnectionError("the upload ended")

    with pytest.raises(ConnectionError):
        write(root, "a", Broken(), limit=10)

    assert content(root, "a") == b"old"
    assert os.listdir(root) == ["a"]


@pytest.mark.parametrize("path", ["", ".", "folder", "file/below", "pipe/below"])
def test_where_no_file_can_be_is_refused(root, path):
    (root / "folder").mkdir()
    (root / "file").write_text("x")
    os.mkfifo(root / "pipe")

    with pytest.raises(InvalidInput):
        write(root, path, b"x", limit=10)

    assert sorted(os.listdir(root)) == ["file", "folder", "pipe"]


# --- Lists and sizes ---------------------------------------------------------------------------------------


def test_a_list_holds_folders_first_and_neither_links_nor_drafts(root):
    write(root, "b.txt", b"123", limit=10)
    write(root, "a.txt", b"", limit=10)
    write(root, "z/inner", b"", limit=10)
    (root / "link").symlink_to("b.txt")
    (root / f".{'0' * 16}.part").write_text("half")

    found = listing(root, "")

    assert [(one["kind"], one["path"], one["size"]) for one in found] == [
        ("dir", "z", 0), ("file", "a.txt", 0), ("file", "b.txt", 3),
    ]  # fmt: skip
    assert all(one["modified_at"].endswith("Z") for one in found)


def test_the_size_of_a_workspace_counts_its_own_files(root):
    write(root, "a", b"123", limit=10)
    write(root, "b/c", b"4567", limit=10)
    (root / "link").symlink_to("../secret")

    assert size_of(root) == 7


def test_an_unknown_folder_is_not_found(root):
    with pytest.raises(NotFound):
        listing(root, "missing")
    assert workspace_files.listing(root, ".") == []


def test_a_path_is_no_longer_than_an_artifact_can_keep(root):
    with pytest.raises(InvalidInput):
        write(root, "/".join(["folder"] * 147), b"x", limit=10)  # 1,028 characters
