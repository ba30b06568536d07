"""An agent type as callers see it."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from lifecycle.models import AgentType, AgentVersion
from lifecycle.times import iso


class AgentTypeDict(TypedDict):
    """An agent type with its active version."""

    name: str
    title: dict[str, str]
    description: str
    enabled: bool
    version: int | None
    source: str
    problem: str | None
    runner_kind: str | None
    limits: dict[str, Any]
    settings: dict[str, Any]
    input_schema: dict[str, Any]


class AgentVersionDict(TypedDict):
    """One version of an agent type."""

    version: int
    active: bool
    config: dict[str, Any]
    created_by: str
    created_at: str


def as_dict(row: AgentType) -> AgentTypeDict:
    """The row as callers see it; ``active_version`` should be loaded with it."""
    config: dict[str, Any] = row.active_version.config if row.active_version else {}
    return {
        "name": row.name,
        "title": config.get("title", {}),
        "description": config.get("description", ""),
        "enabled": row.enabled,
        "version": row.active_version.number if row.active_version else None,
        "source": row.source,
        "problem": row.problem or None,
        "runner_kind": config["runner"]["kind"] if config else None,
        "limits": config.get("limits", {}),
        "settings": config.get("settings", {}),
        "input_schema": config.get("input_schema", {}),
    }


def version_dict(row: AgentVersion, active: int | None) -> AgentVersionDict:
    """The row as callers see it."""
    return {
        "version": row.number,
        "active": row.pk == active,
        "config": row.config,
        "created_by": row.created_by,
        "created_at": iso(row.created_at),
    }
