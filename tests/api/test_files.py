"""Files of a workspace over HTTP: content, preconditions, sizes, and paths that try to get out."""

import contextlib
import hashlib
import os
import socket
import threading
from urllib.parse import quote

import pytest

from tests.api.site import MAX_UPLOAD_MB

pytestmark = pytest.mark.engine

MEGABYTES = 50


@pytest.fixture(scope="module")
def area(site):
    """A workspace of this module's own, and its folder."""
    site.post("/workspaces", {"id": "files"})
    site.ask("PUT", "/workspaces/files/files/there.txt", data=b"there")
    return site.folder / "workspaces" / "files"


def put(site, path, data=b"x", **headers):
    return site.ask("PUT", f"/workspaces/files/files/{path}", data=data, headers=headers)


def get(site, path, **headers):
    return site.get(f"/workspaces/files/files/{path}", headers=headers)


def raw(site, method, path, body=b"", **headers):
    """A request whose path no client library tidies up."""
    return site.raw(site.request_bytes(method, f"/api/v1/workspaces/files/files/{path}", headers, body))


def tag(data):
    return f'"{hashlib.sha256(data).hexdigest()}"'


def test_a_file_comes_back_as_it_was_put(site, area):
    data = bytes(range(256)) * 100

    kept = put(site, "a/b/数据 1.bin", data)
    back = get(site, "a/b/数据 1.bin")

    assert kept.status_code == 200
    assert kept.json() == {
        "path": "a/b/数据 1.bin",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    assert kept.headers["ETag"] == back.headers["ETag"] == tag(data)
    assert back.content == data
    assert back.headers["Content-Length"] == str(len(data))
    assert back.headers["Content-Disposition"].startswith("attachment")
    assert back.headers["X-Content-Type-Options"] == "nosniff"


def test_a_folder_is_listed_with_its_folders_first(site, area):
    put(site, "list/b.txt", b"bb")
    put(site, "list/z/c.txt", b"c")

    items = site.get("/workspaces/files/files?path=list").json()["items"]

    assert [(one["path"], one["kind"], one["size"]) for one in items] == [
        ("list/z", "dir", 0), ("list/b.txt", "file", 2),
    ]  # fmt: skip
    assert all(one["modified_at"].endswith("Z") for one in items)
    assert site.get("/workspaces/files/files?path=nothing").status_code == 404


def test_a_file_that_the_caller_has_already_is_304(site, area):
    put(site, "known.txt", b"known")

    answer = get(site, "known.txt", **{"If-None-Match": tag(b"known")})

    assert answer.status_code == 304
    assert answer.content == b""
    assert get(site, "known.txt", **{"If-None-Match": tag(b"other")}).status_code == 200


def test_if_match_lets_only_the_known_file_be_replaced_or_deleted(site, area):
    put(site, "guarded.txt", b"one")
    stale = {"If-Match": tag(b"zero")}

    assert put(site, "guarded.txt", b"two", **stale).status_code == 412
    assert site.ask("DELETE", "/workspaces/files/files/guarded.txt", headers=stale).status_code == 412
    assert put(site, "missing.txt", b"two", **{"If-Match": "*"}).status_code == 412
    assert get(site, "guarded.txt").content == b"one"
    assert put(site, "guarded.txt", b"two", **{"If-Match": tag(b"one")}).status_code == 200
    deleted = site.ask("DELETE", "/workspaces/files/files/guarded.txt", headers={"If-Match": tag(b"two")})
    assert deleted.status_code == 204
    assert get(site, "guarded.txt").status_code == 404


def test_if_none_match_lets_only_a_new_file_be_written(site, area):
    new = {"If-None-Match": "*"}

    assert put(site, "new.txt", b"one", **new).status_code == 200
    assert put(site, "new.txt", b"two", **new).status_code == 412
    assert get(site, "new.txt").content == b"one"
    assert put(site, "new.txt", b"two", **{"If-None-Match": tag(b"x")}).status_code == 422
    assert put(site, "new.txt", b"two", **{"If-Match": "nonsense"}).status_code == 400


def test_of_many_who_create_a_file_at_once_one_succeeds(site, area):
    answers = []
    threads = [
        threading.Thread(
            target=lambda n=n: answers.append(put(site, "race.txt", b"%d" % n, **{"If-None-Match": "*"}))
        )
        for n in range(12)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert sorted(one.status_code for one in answers) == [200] + [412] * 11
    assert not [one for one in os.listdir(area) if one.endswith(".part")]


def test_a_folder_is_no_file(site, area):
    put(site, "folder/inner.txt")

    read = get(site, "folder")
    assert (read.status_code, read.json()["code"]) == (409, "is_directory")
    deleted = site.ask("DELETE", "/workspaces/files/files/folder")
    assert (deleted.status_code, deleted.json()["code"]) == (409, "is_directory")
    assert put(site, "folder").status_code in (409, 422)
    assert put(site, "there.txt/below.txt").status_code in (409, 422)


def test_nothing_is_compressed(site, area):
    put(site, "text.txt", b"text " * 10_000)

    answer = get(site, "text.txt", **{"Accept-Encoding": "gzip, deflate, br"})

    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Content-Length"] == "50000"


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "text/csv",
        "image/png",
        "text/html,application/xhtml+xml",
        "application/octet-stream",
        "application/json",
    ],
)
def test_a_download_does_not_depend_on_what_is_accepted(site, area, accept):
    assert get(site, "there.txt", Accept=accept).content == b"there"


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "nonsense",
    ],
)
def test_an_upload_is_kept_as_it_is_whatever_its_type_says(site, area, content_type):
    assert put(site, "typed.txt", b"{not json", **{"Content-Type": content_type}).status_code == 200
    assert get(site, "typed.txt").content == b"{not json"


def test_an_empty_file_is_a_file(site, area):
    assert put(site, "empty.txt", b"").json()["size"] == 0
    assert get(site, "empty.txt").content == b""


def test_over_the_quota_is_413_and_nothing_is_kept(site):
    site.post("/workspaces", {"id": "small", "quota_bytes": 1000})
    path = "/workspaces/small/files/a.bin"

    assert site.ask("PUT", path, data=b"x" * 900).status_code == 200
    over = site.ask("PUT", "/workspaces/small/files/b.bin", data=b"x" * 200)
    assert (over.status_code, over.json()["code"]) == (413, "quota_exceeded")
    assert site.ask("PUT", path, data=b"x" * 1000).status_code == 200  # it replaces what it had
    assert site.ask("PUT", path, data=b"x" * 1001).status_code == 413
    assert [one["path"] for one in site.get("/workspaces/small/files").json()["items"]] == ["a.bin"]


def test_50_megabytes_go_in_and_out_without_being_held_in_memory(site, area):
    put(site, "warm.bin", b"x" * 2**20)
    get(site, "warm.bin")
    before = peak = site.memory()
    done = threading.Event()

    def watch():
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, site.memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        block = os.urandom(2**20)
        kept = put(site, "large.bin", (block for _ in range(MEGABYTES)))  # chunked
        assert kept.json()["size"] == MEGABYTES * 2**20
        with site.get("/workspaces/files/files/large.bin", stream=True) as answer:
            digest = hashlib.sha256()
            threading.Event().wait(0.5)  # a reader who takes his time: nothing may pile up meanwhile
            for piece in answer.iter_content(2**16):
                digest.update(piece)
        assert digest.hexdigest() == kept.json()["sha256"]
    finally:
        done.set()
        watcher.join()
    assert peak - before < 25
    assert put(site, "large.bin", b"").status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_more_than_may_be_uploaded_is_413_without_being_held_in_memory(site, area, chunked):
    before = site.memory()
    block = b"x" * 2**20
    count = MAX_UPLOAD_MB + 2
    data = (block for _ in range(count)) if chunked else block * count

    answer = put(site, "huge.bin", data)

    assert (answer.status_code, answer.json()["code"]) == (413, "quota_exceeded")
    assert site.memory() - before < 25
    assert get(site, "huge.bin").status_code == 404


def test_an_upload_that_breaks_off_leaves_nothing(site, area):
    head = site.request_bytes("PUT", "/api/v1/workspaces/files/files/cut.bin", {"Content-Length": "100000"})
    with socket.create_connection(("127.0.0.1", site.up.port)) as connection:
        connection.sendall(head + b"x" * 1000)

    assert get(site, "cut.bin").status_code == 404
    assert not [one for one in os.listdir(area) if one.endswith(".part")]


ESCAPES = [
    "../secret", "../../secret", "a/../../secret", "..", ".", "./", "%2e%2e/secret", "%2e%2e%2fsecret",
    "..%2fsecret", "..%2f..%2fsecret", "a/..%2f..%2fsecret",
    "%2e./secret", ".%2e/secret", "..%5csecret", "..\\secret", "%252e%252e/secret", "%2fetc/passwd",
    "/etc/passwd", "//etc/passwd", "%00", "a%00b", "there.txt%00.png",
    "%c0%ae%c0%ae/secret", "%ef%bc%8e%ef%bc%8e/secret", "...", "....//secret", "a/b/../../../secret",
    "%2e%2e/other/secret", "C:%5csecret", "~root", "x" * 300, "x/" * 2000 + "x",
]  # fmt: skip


def test_no_path_leads_out_of_the_workspace(site, area):
    secret = area.parent / "secret"
    secret.write_text("secret")
    for path in ESCAPES:
        for method, body in (("GET", b""), ("PUT", b"overwritten"), ("DELETE", b"")):
            answer = raw(site, method, path, body)
            assert answer.status < 500, (method, path, answer.body)
            if method == "GET":
                assert answer.status in (400, 404, 409, 422), (path, answer)
        listed = site.raw(site.request_bytes("GET", f"/api/v1/workspaces/files/files?path={path}"))
        assert listed.status in (200, 400, 404, 422), path
        assert b'"secret"' not in listed.body
    assert secret.read_text() == "secret"
    assert set(os.listdir(area.parent)) >= {"files", "secret"}
    assert not (area.parent / "etc").exists()


def test_links_are_neither_followed_nor_listed_nor_written_through(site, area):
    outside = area.parent / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "secret.txt").write_text("secret")
    links = {"link": outside / "secret.txt", "way": outside, "up": area.parent, "loop": area / "loop"}
    for name, target in links.items():
        (area / name).symlink_to(target)

    for path in ("link", "way/secret.txt", "up/outside/secret.txt", "loop", "loop/x"):
        assert get(site, path).status_code == 404, path
    for path in ("way/new.txt", "up/new.txt", "loop/x"):
        assert put(site, path, b"mine").status_code in (404, 409, 422), path
    assert put(site, "link", b"mine").status_code in (200, 404, 409, 422)
    for path in ("way", "up"):
        assert site.get(f"/workspaces/files/files?path={path}").status_code == 404
    names = {one["path"] for one in site.get("/workspaces/files/files").json()["items"]}
    assert not names & {"way", "up", "loop"}
    assert (outside / "secret.txt").read_text() == "secret"
    assert os.listdir(outside) == ["secret.txt"]


def test_a_link_that_is_swapped_in_at_any_moment_leads_nowhere(site, area):
    outside = area.parent / "swap-outside"
    outside.mkdir()
    (outside / "file.txt").write_text("secret")
    inside = area / "swapped"
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            with contextlib.suppress(OSError):
                os.mkdir(inside)
                (inside / "file.txt").write_text("mine")
            for name in ("file.txt", "new.txt"):
                with contextlib.suppress(OSError):
                    (inside / name).unlink()
            with contextlib.suppress(OSError):
                os.rmdir(inside)
            with contextlib.suppress(OSError):
                os.symlink(outside, inside)
            with contextlib.suppress(OSError):
                os.unlink(inside)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(60):
            answer = get(site, "swapped/file.txt")
            assert answer.status_code in (200, 404, 409), answer.text
            assert answer.status_code != 200 or b"secret" not in answer.content
            assert put(site, "swapped/new.txt", b"x").status_code in (200, 404, 409, 422)
    finally:
        stop.set()
        thread.join()
    assert os.listdir(outside) == ["file.txt"]
    assert (outside / "file.txt").read_text() == "secret"


def test_what_is_no_regular_file_is_neither_read_nor_waited_for(site, area):
    os.mkfifo(area / "fifo")
    for _ in range(10):  # more than there are threads: none may hang
        assert get(site, "fifo").status_code == 404
    assert "fifo" not in {one["path"] for one in site.get("/workspaces/files/files").json()["items"]}
    assert put(site, "fifo", b"x").status_code in (200, 404, 409, 422)
    assert site.get("/whoami").status_code == 200


def test_a_name_full_of_strange_characters_is_told_safely(site, area):
    for name in ('"quoted"; x=y.txt', "a\rSet-Cookie: x=1", "报告 — é.md", "<script>", "%41"):
        path = quote(name, safe="")
        assert put(site, path, b"x").status_code == 200, name
        answer = get(site, path)
        assert answer.content == b"x"
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Content-Disposition"].startswith("attachment")


def test_files_of_an_archived_workspace_can_be_read_and_not_written(site):
    site.post("/workspaces", {"id": "shelf"})
    site.ask("PUT", "/workspaces/shelf/files/a.txt", data=b"kept")
    site.post("/workspaces/shelf/archive")

    assert site.get("/workspaces/shelf/files/a.txt").content == b"kept"
    refused = site.ask("PUT", "/workspaces/shelf/files/a.txt", data=b"new")
    assert (refused.status_code, refused.json()["current_status"]) == (409, "archived")


def test_an_artifact_is_kept_as_it_was_and_comes_as_a_download(site):
    task = site.run("maker")
    [artifact] = site.get(f"/tasks/{task['id']}/artifacts").json()["items"]

    answer = site.get(f"/tasks/{task['id']}/artifacts/{artifact['id']}")

    assert set(artifact) == {"id", "path", "title", "media_type", "size", "sha256", "created_at"}
    assert (artifact["path"], artifact["title"], artifact["size"]) == ("made/报告.md", "Report", 7)
    assert answer.content == b"# Made\n"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["ETag"] == tag(b"# Made\n")
    other = site.run("maker")
    assert site.get(f"/tasks/{other['id']}/artifacts/{artifact['id']}").status_code == 404
    assert site.get(f"/tasks/{task['id']}/artifacts/nonsense").status_code == 404
