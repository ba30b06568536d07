"""A key of another workspace sees nothing, at any address of the url configuration (no list kept by hand)."""

import json
import re

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from channels_app.routing import sockets
from executor.models import Artifact, Task
from lifecycle.models import Trace, Workspace
from lifecycle.workspace_manager import WorkspaceManager
from tests import make

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
MARK = "geheim"
"""Stands in everything that the other workspace has, and never in what the caller sends."""

CANNOT = {"readyz", "api/v1/tasks/<str:task_id>/stream"}
"""Without a worker, and without a server that streams, these are 503."""
FREE = {
    "", "healthz", "readyz", "metrics", "api/schema", "api/v1/whoami",
    "api/v1/agent-types", "api/v1/agent-types/<str:name>", "api/v1/agent-types/<str:name>/versions",
}  # fmt: skip
"""Addresses that belong to no workspace."""

BODIES = {
    "api/v1/tasks": lambda there: {"trace_id": there["trace_id"], "description": "x"},
    "api/v1/tasks/bulk": lambda there: {"action": "cancel", "filter": {}},
    "api/v1/traces": lambda there: {"workspace_id": there["workspace_id"], "agent_type": "echo"},
    "api/v1/workspaces": lambda there: {"id": there["workspace_id"]},
}


def routes(patterns=None, before=""):
    """Every route of the url configuration."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route


API = sorted(route for route in routes() if not route.startswith("admin/"))
ADMIN = sorted(route for route in routes() if route.startswith("admin/"))


@pytest.fixture
def there(db):
    """What the other workspace has: one of each thing, by the name that an address has for it."""
    make.an_agent_type()
    workspace = make.a_workspace("elsewhere", title=MARK, metadata={"a": MARK})
    trace = make.a_trace(workspace, title=MARK, labels={MARK: MARK})
    task = make.a_task(trace, MARK, input=MARK, labels={MARK: MARK})
    artifact = Artifact.objects.create(
        task=task, path=f"{MARK}.txt", title=MARK, media_type="text/plain", size=1, sha256="0" * 64
    )
    WorkspaceManager().upload_file("elsewhere", "a.txt", MARK.encode())
    return {
        "workspace_id": workspace.pk,
        "trace_id": str(trace.pk),
        "task_id": str(task.pk),
        "artifact_id": str(artifact.pk),
        "path": "a.txt",
        "name": "echo",
    }


@pytest.fixture
def stranger(client_with):
    """May do everything, in a workspace of its own."""
    make.a_workspace("mine")
    return client_with("read", "submit", "work", "admin", workspaces=["mine"])


def address(route, there):
    """The address of a thing in the other workspace."""
    names = re.findall(r"<(?:\w+:)?(\w+)>", route)
    unknown = set(names) - set(there)
    assert not unknown, f"{route}: add what {unknown} names to the fixture `there`"
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: there[found[1]], route)


def snapshot():
    """Everything that a stranger could have changed."""
    tables = [list(model.objects.order_by("pk").values()) for model in (Workspace, Trace, Task, Artifact)]
    return [*tables, WorkspaceManager().list_files("elsewhere")]


@pytest.mark.django_db
@pytest.mark.parametrize("route", API)
def test_a_stranger_sees_and_changes_nothing(stranger, there, route):
    before = snapshot()
    for method in METHODS:
        body = BODIES.get(route, lambda _: {})(there) if method in ("post", "put", "patch") else None
        more = {"data": body, "format": "json"} if body is not None and "files" not in route else {}

        answer = getattr(stranger, method)(address(route, there), **more)

        content = b"".join(answer) if answer.streaming else answer.content
        assert answer.status_code < 500 or route in CANNOT, content
        assert MARK.encode() not in content
        if route not in FREE:
            assert there["task_id"].encode() not in content or answer.status_code == 404
        if "<" in route and route not in FREE:
            refused = (503,) if route in CANNOT and method in ("get", "head") else (404, 405)
            assert answer.status_code in ((200,) if method == "options" else refused), method
        elif method == "post" and route in BODIES and route != "api/v1/tasks/bulk":
            assert answer.status_code in (403, 404), content
    assert snapshot() == before


@pytest.mark.django_db
def test_the_owner_does_see_all_that(api, there):
    """Else the test above would prove nothing."""
    for route in ("workspaces", "traces", "tasks"):
        assert MARK in api.get(f"/api/v1/{route}").content.decode()
    for route in [one for one in API if "<" in one]:
        answer = api.get(address(route, there))
        answer.close()
        # 404: the artifact's content, which nobody kept; 405: a verb
        assert answer.status_code in (200, 405) or route in CANNOT or "artifact_id" in route, route


@pytest.mark.django_db
@pytest.mark.parametrize(
    "filters",
    [
        "workspace_id=elsewhere",
        f"q={MARK}",
        f"label={MARK}:{MARK}",
        "status=pending",
        "status=idle",
        "agent_type=echo",
    ],
)
def test_no_filter_shows_a_stranger_anything(stranger, there, filters):
    for kind in ("tasks", "traces"):
        answer = stranger.get(f"/api/v1/{kind}?{filters}")
        assert answer.status_code == 422 or answer.json()["items"] == []
    assert stranger.get(f"/api/v1/tasks?trace_id={there['trace_id']}").status_code == 404


@pytest.mark.django_db
def test_a_stranger_cannot_use_what_is_elsewhere_in_a_body(stranger, there):
    own = {"workspace_id": "mine", "agent_type": "echo"}

    parent = stranger.post("/api/v1/traces", {**own, "parent_id": there["trace_id"]}, "json")
    bulk = [
        stranger.post("/api/v1/tasks/bulk", {"action": "cancel", "filter": chosen, "dry_run": dry}, "json")
        for chosen in ({}, {"workspace_id": "elsewhere"}, {"q": MARK})
        for dry in (True, False)
    ]

    assert parent.status_code == 404
    assert parent.json()["errors"][0]["field"] == "parent_id"
    assert [(one.json()["matched"], one.json()["done"]) for one in bulk] == [(0, 0)] * 6


@pytest.mark.django_db
def test_what_is_foreign_and_what_is_missing_look_the_same(stranger, there):
    def told(path):
        answer = stranger.get(path)
        body = json.dumps(json.loads(answer.content) | {"request_id": ""})
        return answer.status_code, re.sub(r"[0-9a-f-]{36}|elsewhere|nowhere", "ID", body)

    missing = "01a21202-8f2c-7000-8000-000000000000"
    assert told(f"/api/v1/tasks/{there['task_id']}") == told(f"/api/v1/tasks/{missing}")
    assert told(f"/api/v1/traces/{there['trace_id']}") == told(f"/api/v1/traces/{missing}")
    assert told("/api/v1/workspaces/elsewhere") == told("/api/v1/workspaces/nowhere")
    made = [
        stranger.post("/api/v1/workspaces", {"id": one}, "json").status_code
        for one in ("elsewhere", "nowhere")
    ]
    assert made[0] == made[1]


@pytest.mark.django_db
@pytest.mark.parametrize("method", METHODS)
def test_without_a_key_nothing_is_answered(client, there, method):
    for route in API:
        if route in FREE - {"api/schema", "api/v1/whoami"} and "agent-types" not in route:
            continue
        answer = getattr(client, method)(address(route, there))
        assert answer.status_code in (401, 405), route
        assert MARK.encode() not in answer.content
        if answer.status_code == 401 and method != "head":
            assert answer["WWW-Authenticate"] == "Bearer"
            assert json.loads(answer.content)["code"] == "not_signed_in"


@pytest.mark.django_db
def test_a_key_opens_no_page_of_the_admin(api, there):
    for route in ADMIN:
        plain = re.sub(r"<[^>]*>", "1", route)
        if re.search(r"[\^$()]", plain) or plain in ("admin/login/", "admin/jsi18n/"):
            continue
        answer = api.get(f"/{plain}")
        assert answer.status_code in (302, 404, 405), plain
        assert MARK.encode() not in answer.content


def test_every_socket_is_closed_to_strangers():
    """Which sockets there are; that each is closed to strangers is tested on a real server."""
    known = {"ws/tasks/<str:key>", "ws/traces/<str:key>", "ws/workspaces/<str:key>", ""}

    assert {str(route.pattern) for route in sockets.routes} == known, "test the new one in test_sockets.py"
