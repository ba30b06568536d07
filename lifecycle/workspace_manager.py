"""The verbs on workspaces and their files."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any, Literal

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Greatest
from typing_extensions import TypedDict

from gateway.errors import AlreadyExists, Conflict, QuotaExceeded, WorkspaceNotFound
from gateway.page import Page
from lifecycle import input_rules, keyset, workspace_files
from lifecycle.actors import Actor, local_actor
from lifecycle.ids import lookup, slug
from lifecycle.models import Workspace
from lifecycle.times import iso


class WorkspaceDict(TypedDict):
    """A workspace as callers see it; sizes in bytes, times in ISO 8601."""

    id: str
    title: str
    status: str
    quota_bytes: int | None
    used_bytes: int
    max_running: int
    metadata: dict[str, Any]
    created_at: str


class WorkspaceManager:
    """Make and read workspaces, and put files into them. Every verb takes ``actor=``."""

    def create_workspace(
        self,
        id: str,
        *,
        title: str = "",
        quota_bytes: int | None = None,
        max_running: int = 0,
        metadata: dict[str, Any] | None = None,
        actor: Actor | None = None,
    ) -> WorkspaceDict:
        """Make a workspace and its folder.

        ``quota_bytes`` None and ``max_running`` 0 mean no limit. Raises ``InvalidInput`` for a bad id and
        ``AlreadyExists`` if the id is taken (case does not tell ids apart).
        """
        actor = actor or local_actor()
        actor.require("submit")
        workspace = Workspace(
            id=slug(id, "id"),
            title=input_rules.text(title, "title", maximum=200),
            quota_bytes=_quota(quota_bytes),
            max_running=input_rules.whole(max_running, "max_running", low=0, high=1_000_000),
            metadata=input_rules.metadata(metadata),
        )
        if not actor.may_see(id):  # nor learn whether there is one
            raise WorkspaceNotFound(
                f"There is no workspace '{id}' that {actor.name} may use.",
                hint="The key is limited to named workspaces.",
                errors=[{"field": "id", "message": "is none of the key's workspaces"}],
            )
        try:
            with transaction.atomic():
                workspace.save(force_insert=True)
        except IntegrityError:
            raise AlreadyExists(
                f"There is a workspace '{id}' already.",
                hint="Choose another id, or use the one that is there.",
                errors=[{"field": "id", "message": "is taken"}],
            ) from None
        folder_of(workspace.id)
        return as_dict(workspace)

    def get_workspace(self, id: str, *, actor: Actor | None = None) -> WorkspaceDict:
        """The workspace; raise ``WorkspaceNotFound`` if there is none that the actor may see.

        ``used_bytes`` is counted on disk now; in lists it is what uploads and deletions add up to.
        """
        workspace = find(id, actor or local_actor())
        return as_dict(workspace) | {"used_bytes": used_bytes(workspace.id)}

    def list_workspaces(
        self, *, limit: int = 50, cursor: str | None = None, actor: Actor | None = None
    ) -> Page[WorkspaceDict]:
        """The workspaces that the actor may see, newest first; at most ``limit`` (1 to 200) a page."""
        rows = Workspace.objects.for_actor(actor or local_actor())
        return keyset.page(rows, as_dict, keys=("created_at", "id"), limit=limit, cursor=cursor)

    def update_workspace(
        self,
        id: str,
        *,
        title: str | None = None,
        quota_bytes: int | Literal["unchanged"] | None = "unchanged",
        max_running: int | None = None,
        metadata: dict[str, Any] | None = None,
        actor: Actor | None = None,
    ) -> WorkspaceDict:
        """Change what is given and return the workspace; ``quota_bytes`` None takes the quota away."""
        actor = actor or local_actor()
        actor.require("admin")
        with transaction.atomic():
            workspace = find(id, actor, lock=True)
            if title is not None:
                workspace.title = input_rules.text(title, "title", maximum=200)
            if quota_bytes != "unchanged":
                workspace.quota_bytes = _quota(quota_bytes)
            if max_running is not None:
                workspace.max_running = input_rules.whole(max_running, "max_running", low=0, high=1_000_000)
            if metadata is not None:
                workspace.metadata = input_rules.metadata(metadata)
            workspace.save()
        return as_dict(workspace)

    def archive_workspace(self, id: str, *, actor: Actor | None = None) -> WorkspaceDict:
        """Let the workspace take no new traces, tasks or files; what runs goes on."""
        return self._set_status(id, Workspace.Status.ARCHIVED, actor or local_actor())

    def restore_workspace(self, id: str, *, actor: Actor | None = None) -> WorkspaceDict:
        """Open an archived workspace again."""
        return self._set_status(id, Workspace.Status.ACTIVE, actor or local_actor())

    def _set_status(self, id: str, status: Workspace.Status, actor: Actor) -> WorkspaceDict:
        actor.require("admin")
        with transaction.atomic():
            workspace = find(id, actor, lock=True)
            if workspace.status == Workspace.Status.DELETING:
                raise Conflict(f"The workspace '{workspace.id}' is being deleted.", current_status="deleting")
            workspace.status = status
            workspace.save(update_fields=["status"])
        return as_dict(workspace)

    def upload_file(
        self,
        workspace_id: str,
        path: str,
        source: IO[bytes] | bytes | Path,
        *,
        if_match: str | None = None,
        if_new: bool = False,
        actor: Actor | None = None,
    ) -> dict[str, Any]:
        """Write ``source`` to ``path`` in the workspace, whole or not at all.

        ``if_match`` is the SHA-256 that the file must have now, ``if_new`` that there must be none yet; else
        ``PreconditionFailed``. Returns ``{"path", "size", "sha256"}``. Raises ``InvalidInput`` for a path
        that leaves the workspace, ``QuotaExceeded`` over the quota or ``GATEWAY_MAX_UPLOAD_MB``.
        """
        actor = actor or local_actor()
        actor.require("submit")
        workspace = find(workspace_id, actor)
        if workspace.status != Workspace.Status.ACTIVE:
            raise Conflict(
                f"The workspace '{workspace.id}' is {workspace.status}.", current_status=workspace.status
            )
        limit = settings.GATEWAY_MAX_UPLOAD_MB * 1024 * 1024
        replaced = workspace_files.size_at(folder_of(workspace.id), path)
        if workspace.quota_bytes is not None:
            limit = min(limit, max(workspace.quota_bytes - used_bytes(workspace.id) + replaced, 0))
        try:
            written = workspace_files.write(
                folder_of(workspace.id), path, source, limit=limit, if_match=if_match, if_new=if_new
            )
        except workspace_files.TooLarge:
            raise QuotaExceeded(
                f"'{path}' has more than the {limit:,} bytes that fit into the workspace '{workspace.id}'.",
                hint="Free space in the workspace, raise its quota, or raise GATEWAY_MAX_UPLOAD_MB.",
            ) from None
        _note_used(workspace, written["size"] - replaced)
        return written

    def list_files(
        self, workspace_id: str, path: str = "", *, actor: Actor | None = None
    ) -> list[dict[str, Any]]:
        """One folder of the workspace: ``{"path", "kind", "size", "modified_at"}`` each, folders first."""
        workspace = find(workspace_id, actor or local_actor())
        return workspace_files.listing(folder_of(workspace.id), path)

    def delete_file(
        self, workspace_id: str, path: str, *, if_match: str | None = None, actor: Actor | None = None
    ) -> None:
        """Remove a file or an empty folder; raise ``NotFound``, ``IsDirectory`` or ``PreconditionFailed``."""
        actor = actor or local_actor()
        actor.require("submit")
        workspace = find(workspace_id, actor)
        freed = workspace_files.size_at(folder_of(workspace.id), path)
        workspace_files.delete(folder_of(workspace.id), path, if_match=if_match)
        _note_used(workspace, -freed)

    def read_file(self, workspace_id: str, path: str, *, actor: Actor | None = None) -> IO[bytes]:
        """The file at ``path``, open for reading; raise ``NotFound`` if it is none."""
        workspace = find(workspace_id, actor or local_actor())
        return workspace_files.open_file(folder_of(workspace.id), path)


def find(id: str, actor: Actor, *, lock: bool = False) -> Workspace:
    """The row of workspace ``id`` (without case) that the actor may see; else ``WorkspaceNotFound``."""
    rows = Workspace.objects.for_actor(actor).filter(id__lower=lookup(id))
    row = (rows.select_for_update() if lock else rows).first()
    if row is None:
        raise WorkspaceNotFound(
            f"There is no workspace '{id}'.",
            errors=[{"field": "workspace_id", "message": f"There is no workspace '{id}'."}],
        )
    return row


def find_or_create(id: str, actor: Actor) -> Workspace:
    """The workspace ``id``, made if it is missing, the settings allow it and the actor is not limited."""
    slug(id, "workspace_id")
    try:
        return find(id, actor)
    except WorkspaceNotFound:
        if not settings.GATEWAY_AUTO_CREATE_WORKSPACES or actor.workspaces is not None:
            raise
    row, _ = Workspace.objects.get_or_create(id=id)
    folder_of(row.id)
    return row


def _quota(value: int | None) -> int | None:
    return None if value is None else input_rules.whole(value, "quota_bytes", low=0, high=2**62)


def folder_of(workspace_id: str) -> Path:
    """The workspace's folder on disk, made (0700) if it is missing."""
    root = Path(settings.GATEWAY_DATA_DIR) / "workspaces"
    root.mkdir(mode=0o700, exist_ok=True)
    folder = root / workspace_id
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def used_bytes(workspace_id: str) -> int:
    """The bytes of all files of the workspace, counted on disk."""
    return workspace_files.size_of(folder_of(workspace_id))


def _note_used(workspace: Workspace, change: int) -> None:
    used = Greatest(F("used_bytes") + change, 0)
    Workspace.objects.filter(pk=workspace.pk).update(used_bytes=used)


def as_dict(row: Workspace) -> WorkspaceDict:
    """The row as callers see it."""
    return {
        "id": row.id,
        "title": row.title,
        "status": row.status,
        "quota_bytes": row.quota_bytes,
        "used_bytes": row.used_bytes,
        "max_running": row.max_running,
        "metadata": row.metadata,
        "created_at": iso(row.created_at),
    }
