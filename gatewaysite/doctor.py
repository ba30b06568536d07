"""Checks of an installation, each with its cure."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from django.conf import settings
from django.db import DatabaseError, connection

from executor.blocked_by import workers_alive
from executor.models import Worker
from gateway.errors import NotReady
from lifecycle import installation
from lifecycle.agent_type_manager import AgentTypeManager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOW_SPACE_BYTES = 1024**3


@dataclass(frozen=True)
class Finding:
    """What one check found; ``cure`` is empty when all is well."""

    name: str
    verdict: Literal["ok", "warning", "problem"]
    message: str
    cure: str = ""


def examine() -> Iterator[Finding]:
    """Every check in turn; one that needs the database is left out while it cannot be reached."""
    yield _python()
    yield _data_dir()
    yield _space()
    database = _database()
    yield database
    if database.verdict == "ok":
        for check in CHECKS:
            yield from check()


def _python() -> Finding:
    version = sys.version.split()[0]
    if sys.platform != "linux":
        cure = "Run Gateway for others on Linux; only there does the kernel end orphaned processes."
        return Finding("python", "warning", f"Python {version} on {sys.platform}: best effort.", cure)
    return Finding("python", "ok", f"Python {version}")


def _data_dir() -> Finding:
    folder = Path(settings.GATEWAY_DATA_DIR)
    mode = folder.stat().st_mode & 0o777
    if mode & 0o077:
        return Finding(
            "data directory", "problem", f"{folder} can be read by others ({mode:o}).", f"chmod 700 {folder}"
        )
    if not os.access(folder, os.W_OK):
        return Finding("data directory", "problem", f"{folder} cannot be written.", "Let this user write it.")
    return Finding("data directory", "ok", str(folder))


def _space() -> Finding:
    free = shutil.disk_usage(settings.GATEWAY_DATA_DIR).free
    told = f"{free / 1024**3:.1f} GiB free"
    if free < LOW_SPACE_BYTES:
        return Finding("disk space", "warning", told, "Free some space, or move GATEWAY_DATA_DIR.")
    return Finding("disk space", "ok", told)


def _database() -> Finding:
    try:
        missing = installation.unapplied_migrations()
    except NotReady as exc:
        return Finding("database", "problem", exc.message, exc.hint)
    if missing:
        cure = "python manage.py migrate"
        return Finding("database", "problem", f"{len(missing)} migration(s) are not applied.", cure)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as exc:
        return Finding("database", "problem", str(exc), "Check DATABASE_URL and that the server runs.")
    return Finding("database", "ok", connection.vendor)


def _workers() -> Iterator[Finding]:
    for kind, name in ((Worker.Kind.RUNNER, "worker"), (Worker.Kind.CLOCK, "clock")):
        if workers_alive(kind):
            yield Finding(name, "ok", "alive")
        else:
            yield Finding(name, "warning", "none is alive: no task starts", "python manage.py worker")


def _agent_types() -> Iterator[Finding]:
    for report in AgentTypeManager().check_files():
        name = f"agents/{report.name}.yaml"
        if report.outcome == "refused":
            cure = "Mend the file, then: python manage.py config reload"
            yield Finding(name, "problem", report.message, cure)
        else:
            yield Finding(name, "ok", "valid")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (_workers, _agent_types)
