"""Keeps files that tasks produced, by content: the same bytes are stored once."""

from __future__ import annotations

import hashlib
import mimetypes
import tempfile
from typing import IO, Any

from django.core.files import File
from django.core.files.storage import storages

from executor.agent_output import clean_text
from gateway.errors import NotFound
from lifecycle import workspace_files, workspace_manager
from lifecycle.ids import new_id

CHUNK = 1024 * 1024


def keep(workspace_id: str, path: str, title: str) -> dict[str, Any]:
    """Copy the workspace's file ``path`` into the store.

    Returns the artifact as events and callers see it. Raises ``NotFound`` if there is no such regular file
    in the workspace, and ``InvalidInput`` for a path that leads outside.
    """
    folder = workspace_manager.folder_of(workspace_id)
    with workspace_files.open_file(folder, path) as source, tempfile.TemporaryFile(dir=folder.parent) as copy:
        # Copied before it is measured: an agent may still be writing to the file itself.
        digest, size = _copy(source, copy)
        storage = storages["artifacts"]
        if not storage.exists(stored_name(digest)):
            copy.seek(0)
            storage.save(stored_name(digest), File(copy))
    clean_path = "/".join(workspace_files.parts_of(path))
    media_type, _ = mimetypes.guess_type(clean_path)
    return {
        "id": str(new_id()),
        "path": clean_path,
        "title": clean_text(title, 200),
        "media_type": media_type or "application/octet-stream",
        "size": size,
        "sha256": digest,
    }


def stored_name(sha256: str) -> str:
    """The name of a content in the artifact storage."""
    return f"{sha256[:2]}/{sha256}"


def open_stored(sha256: str) -> IO[bytes]:
    """A kept content, open for reading; raise ``NotFound`` if somebody removed it."""
    try:
        stored: IO[bytes] = storages["artifacts"].open(stored_name(sha256))
    except FileNotFoundError:
        raise NotFound("The content of this artifact is no longer kept.") from None
    return stored


def _copy(source: IO[bytes], target: IO[bytes]) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        target.write(chunk)
        size += len(chunk)
    return digest.hexdigest(), size
