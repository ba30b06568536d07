"""Fixtures of the tests that start, stop and kill real worker processes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests import settings as run
from tests.engine.installation import (
    AGENTS,
    HERE,
    LIMITS,
    Installation,
    PostgresStore,
    SqliteStore,
    Store,
    Tree,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.engine)


def _postgres_server() -> str:
    """The address of the server that the run is to use."""
    setting = run.DATABASES["default"]
    user, password = quote(setting["USER"], ""), quote(setting["PASSWORD"] or "", "")
    return f"postgresql://{user}:{password}@{setting['HOST']}:{setting['PORT'] or 5432}/{setting['NAME']}"


def _write_config(folder: Path) -> None:
    folder.mkdir()
    shutil.copy(HERE / "agents.py", folder / "engine_agents.py")
    for name, own in AGENTS.items():
        limits = LIMITS | {key: value for key, value in own.items() if key != "function"}
        entrypoint = f"engine_agents:{own.get('function', name)}"
        config = {"name": name, "runner": {"kind": "python", "entrypoint": entrypoint}, "limits": limits}
        (folder / f"{name}.yaml").write_text(json.dumps(config))  # JSON is YAML


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Iterator[Installation]:
    """An installation that is migrated and knows its agents: the others are copies, made in a moment."""
    store: Store
    store = PostgresStore.create(_postgres_server()) if run.TEST_DATABASE == "postgres" else SqliteStore()
    folder = tmp_path_factory.mktemp("template")
    config = folder / "config"
    config.mkdir()
    _write_config(config / "agents")
    made = Installation(folder / "data", config, store)
    made.folder.mkdir(mode=0o700)
    made.migrate()
    made.probe("prepare")
    made.hang_up()  # a database can only be copied while nobody is connected
    yield made
    made.close()


@pytest.fixture
def installation(template, tmp_path_factory) -> Iterator[Installation]:
    """An installation of the test's own. At the end its history must be clean and none of it may run."""
    made = template.copy_to(tmp_path_factory.mktemp("installation") / "data")
    yield made
    try:
        _check(made)
    finally:
        made.close()


@pytest.fixture(scope="module")
def shared_installation(template, tmp_path_factory) -> Iterator[Installation]:
    """One installation for a module's tests."""
    made = template.copy_to(tmp_path_factory.mktemp("shared") / "data")
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_tree(shared_installation) -> Tree:
    """One tree that a module's tests wound one after another."""
    tree: Tree = shared_installation.start()
    return tree


@pytest.fixture
def tree(shared_tree) -> Iterator[Tree]:
    """The module's tree, complete; afterwards the history must be clean."""
    shared_tree.settle()
    yield shared_tree
    assert shared_tree.installation.violations() == []


def _check(made: Installation) -> None:
    problems = made.violations()
    busy = made.probe("unfinished")
    for tree in made.trees:
        if tree.process.poll() is None:
            tree.stop() if busy else tree.process.kill()  # with nothing to clear up, this is quicker
    made.until(lambda: not made.processes(), "nothing of it runs any more", made.processes)
    assert problems == []
