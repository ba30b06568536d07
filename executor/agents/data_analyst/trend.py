"""The trend by month."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from datetime import datetime

    from executor.agents.data_analyst.columns import Column
    from executor.agents.data_analyst.focus import Measure

#: A month counts as begun late or ended early if more than this many days lack.
_SLACK_DAYS = 2
_MOST_GAPS = 600


@dataclass(frozen=True)
class Month:
    """One calendar month. ``value`` is ``None`` for a mean of nothing; a sum of nothing is 0."""

    year: int
    month: int
    rows: int
    value: float | None

    @property
    def key(self) -> str:
        """The month as ``2024-05``."""
        return f"{self.year:04d}-{self.month:02d}"


@dataclass(frozen=True)
class Trend:
    """One measure by month, without holes between the first and the last."""

    date: str
    measure: Measure
    months: list[Month]
    first_day: datetime
    last_day: datetime
    #: True if the data begin after the start, or stop before the end, of that month.
    starts_late: bool
    ends_early: bool
    undated_rows: int

    @property
    def whole(self) -> list[Month]:
        """The months that are complete, and so may be compared."""
        return self.months[1 if self.starts_late else 0 : -1 if self.ends_early else None]

    @property
    def peak(self) -> Month | None:
        """The complete month with the greatest value."""
        return max((m for m in self.whole if m.value is not None), key=lambda m: m.value or 0.0, default=None)

    @property
    def low(self) -> Month | None:
        """The complete month with the smallest value."""
        return min((m for m in self.whole if m.value is not None), key=lambda m: m.value or 0.0, default=None)

    def change(self, months_back: int) -> float | None:
        """The last complete month against the one ``months_back`` before it, as a share of that one."""
        return growth(self.whole[-1 - months_back], self.whole[-1]) if len(self.whole) > months_back else None


def growth(earlier: Month, later: Month) -> float | None:
    """Return the change as a share of the earlier month, or ``None`` where a share would mislead.

    That is so without a value, from zero, and from or to a negative value.
    """
    if earlier.value is None or later.value is None or earlier.value <= 0 or later.value < 0:
        return None
    return (later.value - earlier.value) / earlier.value


def trend_by_month(date: Column, measure: Measure) -> Trend | None:
    """Total a measure by month, or return ``None`` if no row has a date."""
    frame = pl.DataFrame([date.values.alias("date")])
    if measure.column:
        frame = frame.with_columns(measure.column.values.alias("m"))
        value = pl.col("m").mean() if measure.how == "mean" else pl.col("m").sum()
    else:
        value = pl.len().cast(pl.Float64)
    dated = frame.filter(pl.col("date").is_not_null())
    if not dated.height:
        return None
    number = pl.col("date").dt.year().cast(pl.Int32) * 12 + pl.col("date").dt.month().cast(pl.Int32) - 1
    grouped = dated.group_by(number.alias("n")).agg(pl.len().alias("rows"), value.alias("value"))
    first: datetime = dated["date"].min()  # type: ignore[assignment]
    last: datetime = dated["date"].max()  # type: ignore[assignment]
    is_daily = dated["date"].dt.day().n_unique() > 5
    return Trend(
        date=date.name,
        measure=measure,
        months=_months({n: (rows, value) for n, rows, value in grouped.sort("n").iter_rows()}, measure),
        first_day=first,
        last_day=last,
        starts_late=is_daily and first.day > 1 + _SLACK_DAYS,
        ends_early=is_daily and last.day < calendar.monthrange(last.year, last.month)[1] - _SLACK_DAYS,
        undated_rows=frame.height - dated.height,
    )


def _months(found: dict[int, tuple[int, float | None]], measure: Measure) -> list[Month]:
    nothing = (0, None if measure.how == "mean" else 0.0)
    numbers = range(min(found), max(found) + 1)
    if len(numbers) > _MOST_GAPS:  # a stray year such as 1900 must not make a thousand empty months
        return [Month(n // 12, n % 12 + 1, *found[n]) for n in sorted(found)]
    return [Month(n // 12, n % 12 + 1, *found.get(n, nothing)) for n in numbers]
