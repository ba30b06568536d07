"""An agent's context that writes down what the agent does with it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Cancelled(Exception):
    """Stands for the exception by which Gateway stops a cancelled agent."""


@dataclass
class RecordedStep:
    """One step: what went in, what came out, and whether it ended well."""

    kind: str
    name: str
    input: Any
    output: Any = None
    status: str = "running"


@dataclass
class RecordingContext:
    """Offers what the agents' contract promises, as far as the data analyst uses it."""

    folder: Path
    description: str = "Analyse the data"
    input: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    #: Ask the agent to stop once it has begun this many steps.
    cancel_after_steps: int | None = None
    task_id: str = "01890a5d-ac96-774b-bcce-b302099a8057"

    def __post_init__(self) -> None:
        self.workspace = SimpleNamespace(id="test", path=self.folder)
        self.steps: list[RecordedStep] = []
        self.progresses: list[tuple[float, str]] = []
        self.logs: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.artifacts: dict[str, str] = {}

    @contextmanager
    def step(self, kind: str, name: str, *, input: Any = None) -> Iterator[RecordedStep]:
        step = RecordedStep(kind, name, input)
        self.steps.append(step)
        try:
            yield step
        except BaseException:
            step.status = "failed"
            raise
        step.status = "completed"

    def log(self, message: str, level: str = "info") -> None:
        self.logs.append((level, message))

    def progress(self, percent: float, message: str = "") -> None:
        self.progresses.append((percent, message))

    def text(self, text: str) -> None:
        self.texts.append(text)

    def artifact(self, path: str, *, title: str = "") -> None:
        if not (self.folder / path).is_file():
            raise FileNotFoundError(path)
        self.artifacts[path] = title

    def raise_if_cancelled(self) -> None:
        if self.cancel_after_steps is not None and len(self.steps) >= self.cancel_after_steps:
            raise Cancelled
