"""An artifact as callers see it."""

from __future__ import annotations

from typing_extensions import TypedDict

from executor.models import Artifact
from lifecycle.times import iso


class ArtifactDict(TypedDict):
    """A file that a task produced; ``size`` in bytes."""

    id: str
    path: str
    title: str
    media_type: str
    size: int
    sha256: str
    created_at: str


def artifact_dict(row: Artifact) -> ArtifactDict:
    """The row as callers see it."""
    return {
        "id": str(row.pk),
        "path": row.path,
        "title": row.title,
        "media_type": row.media_type,
        "size": row.size,
        "sha256": row.sha256,
        "created_at": iso(row.created_at),
    }
