"""Values far from the rest, and how the rest is spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from executor.agents.data_analyst.columns import Column, Kind
from executor.agents.data_analyst.csv_table import ROW

if TYPE_CHECKING:
    from executor.agents.data_analyst.csv_table import CsvTable

_EXAMPLES = 10
_BINS = 24
#: Fewer values than this have no spread worth speaking of.
_FEWEST = 8


@dataclass(frozen=True)
class FarValue:
    """One outlier: its spreadsheet row, its value, and what identifies the row, if anything does."""

    row: int
    value: float
    label: str | None


@dataclass(frozen=True)
class Spread:
    """The quartiles of a measure, the fences around them, and what lies outside."""

    column: Column
    q1: float
    median: float
    q3: float
    low: float
    high: float
    below: int
    above: int
    examples: list[FarValue]
    #: Bounds and counts of equal bins for the values between the fences.
    edges: list[float]
    counts: list[int]

    @property
    def count(self) -> int:
        return self.below + self.above


def find_outliers(table: CsvTable, column: Column, columns: list[Column], iqr: float) -> Spread | None:
    """Find values more than ``iqr`` interquartile ranges outside the quartiles (Tukey's fences).

    Where half of all values are the same the range is 0; then the fences are four standard
    deviations from the mean. Returns ``None`` for too few values or no spread at all.
    """
    values = column.values.drop_nulls()
    if values.len() < _FEWEST:
        return None
    q1, median, q3 = (float(values.quantile(q, "linear") or 0.0) for q in (0.25, 0.5, 0.75))
    low, high = q1 - iqr * (q3 - q1), q3 + iqr * (q3 - q1)
    if q1 == q3:
        mean, deviation = float(values.mean() or 0.0), float(values.std() or 0.0)  # type: ignore[arg-type]
        low, high = mean - 4 * deviation, mean + 4 * deviation
    if low == high:
        return None
    edges, counts = _histogram(values.filter((values >= low) & (values <= high)))
    return Spread(
        column=column,
        q1=q1,
        median=median,
        q3=q3,
        low=low,
        high=high,
        below=int((values < low).sum()),
        above=int((values > high).sum()),
        examples=_farthest(table, column, columns, low, high),
        edges=edges,
        counts=counts,
    )


def _farthest(
    table: CsvTable, column: Column, columns: list[Column], low: float, high: float
) -> list[FarValue]:
    keys = [c for c in columns if c.kind is Kind.IDENTIFIER and c.distinct > c.values.len() / 2]
    label = keys[0].values if keys else pl.Series([None], dtype=pl.String).new_from_index(0, table.rows)
    frame = pl.DataFrame([table.frame[ROW].alias("row"), column.values.alias("v"), label.alias("label")])
    value = pl.col("v")
    far = frame.filter((value < low) | (value > high))
    far = far.with_columns(pl.max_horizontal(low - value, value - high).alias("by"))
    far = far.sort(["by", "row"], descending=[True, False]).head(_EXAMPLES)
    return [FarValue(row, value, label) for row, value, label, _ in far.iter_rows()]


def _histogram(values: pl.Series) -> tuple[list[float], list[int]]:
    first, last = float(values.min() or 0.0), float(values.max() or 0.0)  # type: ignore[arg-type]
    if first == last:
        return [first, last], [values.len()]
    is_whole = bool((values % 1 == 0).all())
    bins = min(_BINS, int(last - first) + 1) if is_whole else _BINS
    # Whole numbers get bins of a whole width; else some bins would hold more numbers than others.
    width = -(-(last - first + 1) // bins) if is_whole else (last - first) / bins
    bins = int(-(-(last - first + 1) // width)) if is_whole else bins
    place = ((values - first) / width).floor().clip(0, bins - 1).cast(pl.Int64)
    found = dict(place.value_counts().iter_rows())
    edges = [first + width * i for i in range(bins + 1)]
    return edges, [int(found.get(i, 0)) for i in range(bins)]
