"""The verbs on workspaces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, cast

from gateway.client.python.paging import PAGE_ROWS, every
from gateway.client.python.tasks import new_key
from gateway.client.python.transport import Call, Transport, segment
from gateway.client.python.types import Workspace
from gateway.page import Page


class WorkspaceVerbs:
    """Make, read and change workspaces."""

    _http: Transport

    def create_workspace(
        self,
        id: str,
        *,
        title: str = "",
        quota_bytes: int | None = None,
        max_running: int = 0,
        metadata: dict[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Workspace:
        """Make a workspace and its folder.

        ``quota_bytes`` None and ``max_running`` 0 mean no limit. Raises ``InvalidInput`` for a bad id and
        ``AlreadyExists`` if the id is taken (case does not tell ids apart).
        """
        body = {
            "id": id,
            "title": title,
            "quota_bytes": quota_bytes,
            "max_running": max_running,
            "metadata": metadata or {},
        }
        call = Call("POST", "/workspaces", body=body, key=idempotency_key or new_key())
        return cast("Workspace", self._http.json(call))

    def get_workspace(self, id: str) -> Workspace:
        """The workspace; raise ``WorkspaceNotFound`` if there is none that the key may see."""
        return cast("Workspace", self._http.json(Call("GET", _path(id))))

    def list_workspaces(self, *, limit: int = 50, cursor: str | None = None) -> Page[Workspace]:
        """Workspaces, newest first; at most ``limit`` (1 to 200) a page, whose ``next_cursor`` leads on."""
        return Page(*self._http.page("/workspaces", {}, limit, cursor))

    def iterate_workspaces(self) -> Iterator[Workspace]:
        """All workspaces, newest first, asked for page by page."""
        return every(lambda cursor: self.list_workspaces(limit=PAGE_ROWS, cursor=cursor))

    def update_workspace(
        self,
        id: str,
        *,
        title: str | None = None,
        quota_bytes: int | Literal["unchanged"] | None = "unchanged",
        max_running: int | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Workspace:
        """Change what is given and return the workspace; ``quota_bytes`` None takes the quota away."""
        given = {"title": title, "max_running": max_running, "metadata": metadata}
        body: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if quota_bytes != "unchanged":
            body["quota_bytes"] = quota_bytes
        return cast("Workspace", self._http.json(Call("PATCH", _path(id), body=body, repeatable=True)))

    def archive_workspace(self, id: str) -> Workspace:
        """Let the workspace take no new traces, tasks or files; what runs goes on."""
        return cast("Workspace", self._http.json(Call("POST", _path(id, "/archive"), repeatable=True)))

    def restore_workspace(self, id: str) -> Workspace:
        """Open an archived workspace again."""
        return cast("Workspace", self._http.json(Call("POST", _path(id, "/restore"), repeatable=True)))


def _path(id: str, rest: str = "") -> str:
    return f"/workspaces/{segment(id, 'workspace_id')}{rest}"
