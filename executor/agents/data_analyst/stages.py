"""Stages of the work: each is a step that people see, a place to stop, and a share of the progress."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from executor.agents.data_analyst.context import Context, Step


class Stages:
    """Runs the stages of one task and keeps count of how much is done."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._percent = 0.0

    @contextmanager
    def stage(self, name: str, message: str, given: dict[str, Any], *, percent: float) -> Iterator[Step]:
        """Do one stage, worth ``percent`` of the whole.

        Raises what ``ctx.raise_if_cancelled()`` raises, before the stage begins.
        """
        self._ctx.raise_if_cancelled()
        self._ctx.progress(round(self._percent), message)
        with self._ctx.step("tool", name, input=given) as step:
            yield step
        self._percent += percent

    def skip_to(self, percent: float) -> None:
        """Count work as done that turned out not to be needed."""
        self._percent = max(self._percent, percent)

    def finish(self, message: str) -> None:
        """Say that all is done."""
        self._ctx.progress(100, message)
