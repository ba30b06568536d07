"""The part of an agent's context that the data analyst uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path


class Workspace(Protocol):
    """Where the files are."""

    @property
    def path(self) -> Path: ...


class Step(Protocol):
    """One visible stage of the work."""

    output: Any


class Context(Protocol):
    """What a running task offers to its agent."""

    @property
    def task_id(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def input(self) -> Any: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def workspace(self) -> Workspace: ...

    def step(self, kind: str, name: str, *, input: Any = None) -> AbstractContextManager[Step]: ...
    def log(self, message: str, level: str = "info") -> None: ...
    def progress(self, percent: float, message: str = "") -> None: ...
    def text(self, text: str) -> None: ...
    def artifact(self, path: str, *, title: str = "") -> Any: ...
    def raise_if_cancelled(self) -> None: ...
