"""Whether this installation's database is ready, and making it so where that is safe."""

from __future__ import annotations

import contextlib
import fcntl
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import OperationalError

from gateway.errors import NotReady
from lifecycle.agent_type_manager import AgentTypeManager

if TYPE_CHECKING:
    from collections.abc import Iterator


def unapplied_migrations() -> list[str]:
    """The names of migrations that the database lacks. Raises ``NotReady`` if it cannot be reached."""
    try:
        runner = MigrationExecutor(connection)
    except OperationalError as exc:
        raise NotReady(
            f"The database cannot be reached: {exc}".strip(),
            hint="Check DATABASE_URL and that the server runs.",
        ) from exc
    plan = runner.migration_plan(runner.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def require_migrated() -> None:
    """Raise ``NotReady`` in one sentence if migrations are missing."""
    missing = unapplied_migrations()
    if missing:
        raise NotReady(
            f"The database lacks {len(missing)} migration(s), beginning with {missing[0]}.",
            hint="Run `python manage.py migrate` (or start with `python manage.py up`, which does).",
        )


def ensure_ready() -> None:
    """Make a fresh embedded database ready to work; refuse any other that lacks migrations.

    Only a SQLite file that does not exist yet is made here: changing the schema of a database with data in
    it is the operator's decision.
    """
    if connection.vendor == "sqlite":
        with _alone():  # another process may be making it right now
            if not Path(str(connection.settings_dict["NAME"])).exists():
                _make_ready()
                return
    require_migrated()


def prepare() -> None:
    """Migrate, then import the agent types' files. One process at a time does it; the others wait."""
    with _alone():
        _make_ready()


def _make_ready() -> None:
    if unapplied_migrations():
        call_command("migrate", interactive=False, verbosity=0)
    AgentTypeManager().import_files()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with (Path(settings.GATEWAY_DATA_DIR) / "prepare.lock").open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield
