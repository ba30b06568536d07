"""The data analyst: profiles the CSV files of a workspace and writes a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from executor.agents.data_analyst.context import Context


def run(ctx: Context) -> dict[str, Any]:
    """Analyse the CSV files of ``ctx.workspace`` and return the result of the task.

    The result has ``summary`` (two or three sentences), ``report`` (path of the
    report in the workspace), ``rows``, ``files``, ``skipped``, ``ignored`` and
    ``artifacts``. Running it twice is harmless: the second report replaces the first.

    Raises ``AnalysisError`` if no file can be used, and whatever
    ``ctx.raise_if_cancelled()`` raises, between two stages.
    """
    # The table library takes longer to import than Gateway takes to look up the
    # entry point, and a worker that only looks it up must not load it.
    from executor.agents.data_analyst.analysis import Analysis

    return Analysis(ctx).run()
