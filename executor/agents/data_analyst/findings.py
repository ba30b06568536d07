"""All that was found in one file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from executor.agents.data_analyst.breakdown import Breakdown
    from executor.agents.data_analyst.columns import Column
    from executor.agents.data_analyst.csv_table import CsvTable
    from executor.agents.data_analyst.focus import Focus
    from executor.agents.data_analyst.outliers import Spread
    from executor.agents.data_analyst.quality import Quality
    from executor.agents.data_analyst.trend import Trend


@dataclass
class Findings:
    """One file's facts, filled stage by stage."""

    table: CsvTable
    columns: list[Column]
    focus: Focus
    quality: Quality
    #: What the first measure's total is when rows that repeat are counted once.
    total_without_duplicates: float | None = None
    breakdowns: list[Breakdown] = field(default_factory=list)
    trends: list[Trend] = field(default_factory=list)
    spreads: list[Spread] = field(default_factory=list)
    #: Paths of the charts below the report's folder, by what they show.
    charts: dict[tuple[str, str], str] = field(default_factory=dict)
    #: What the charts are called, by path.
    chart_titles: dict[str, str] = field(default_factory=dict)

    @property
    def lead_total(self) -> float | None:
        """The first measure over all rows."""
        measure = self.focus.lead
        if measure.column is None:
            return float(self.table.rows)
        values = measure.column.values.drop_nulls()
        if not values.len():
            return None
        return float((values.mean() if measure.how == "mean" else values.sum()) or 0.0)  # type: ignore[arg-type]

    @property
    def outliers(self) -> int:
        """Outliers of all measures together."""
        return sum(spread.count for spread in self.spreads)
