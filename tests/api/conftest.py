"""One running installation for all tests of the doors, and a client without a server for the cheap ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from executor.models import Artifact
from lifecycle.api_key_manager import ApiKeyManager
from lifecycle.workspace_manager import WorkspaceManager
from tests import make
from tests import settings as run
from tests.api.site import Site
from tests.engine.conftest import _postgres_server
from tests.engine.installation import PostgresStore, SqliteStore, Store

MARK = "geheim"
"""Stands in everything that the other workspace has, and never in what the caller sends."""


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Iterator[Site]:
    """`manage.py up` on a folder of its own."""
    store: Store
    store = PostgresStore.create(_postgres_server()) if run.TEST_DATABASE == "postgres" else SqliteStore()
    folder = tmp_path_factory.mktemp("site")
    made = Site(folder / "data", folder / "config", store)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()  # counters of wrong keys and of requests


@pytest.fixture
def client_with():
    """Make a client of the API without a server, with a key of these scopes and workspaces."""

    def make(*scopes: str, workspaces: list[str] | None = None) -> APIClient:
        key = ApiKeyManager().create("tests", scopes=scopes or ("read", "submit"), workspaces=workspaces)
        return APIClient(headers={"Authorization": f"Bearer {key}"})

    return make


@pytest.fixture
def api(client_with) -> APIClient:
    """A client that may do everything."""
    made: APIClient = client_with("read", "submit", "work", "admin")
    return made


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
