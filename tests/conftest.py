"""What every test stands on: which database it runs on, a data folder of its own, a checked history."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from tests import history
from tests import settings as run

WITHOUT_DATABASE = {"docs", "agents", "gateway", "site", "harness"}
"""Folders that a run on PostgreSQL leaves out: their tests would only be the same once more."""


def _on_postgres() -> bool:
    return run.TEST_DATABASE == "postgres"


def pytest_configure() -> None:
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)  # what tests start stands on the settings of everyone


def pytest_report_header() -> str:
    if run.TEST_DATABASE_MISSING:
        return f"database: none ({run.TEST_DATABASE_MISSING})"
    setting = run.DATABASES["default"]
    return f"database: {setting['ENGINE'].rsplit('.', 1)[-1]}, {setting['TEST']['NAME']}"


ALL_LEFT_OUT = pytest.StashKey[bool]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if _is_left_out(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not _is_left_out(item)]
        config.stash[ALL_LEFT_OUT] = not items


def _is_left_out(item: pytest.Item) -> bool:
    if not _on_postgres():
        return item.get_closest_marker("postgres") is not None
    if run.TEST_DATABASE_MISSING or item.get_closest_marker("sqlite"):
        return True
    return item.path.relative_to(Path(__file__).parent).parts[0] in WITHOUT_DATABASE


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if run.TEST_DATABASE_MISSING:
        terminalreporter.write_line(f"SKIPPED the run on PostgreSQL: {run.TEST_DATABASE_MISSING}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.stash.get(ALL_LEFT_OUT, False):
        session.exitstatus = pytest.ExitCode.OK  # the run on SQLite has them all


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings) -> Path:
    """The test's own ``GATEWAY_DATA_DIR``."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    settings.GATEWAY_DATA_DIR = folder
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """After every test that used the database: whatever it did, each task's history must be legal."""
    result = yield
    if pyfuncitem.get_closest_marker("django_db") and not pyfuncitem.get_closest_marker("bad_history"):
        assert history.violations() == []
    return result
