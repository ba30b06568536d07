"""Totals by category."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from executor.agents.data_analyst.columns import Column
    from executor.agents.data_analyst.focus import Measure


@dataclass(frozen=True)
class Group:
    """The rows of one category. ``values`` are in the order of the breakdown's measures."""

    name: str | None  #: ``None`` for rows without a category
    rows: int
    values: list[float | None]
    share: float | None  #: of the first measure's total; ``None`` where shares mean nothing


@dataclass(frozen=True)
class Breakdown:
    """Totals of some measures by the values of one column, the greatest first."""

    category: str
    measures: list[Measure]
    groups: list[Group]
    #: The categories beyond the limit, added up, and how many they are.
    rest: Group | None
    rest_count: int
    total: Group


def break_down(category: Column, measures: list[Measure], most: int) -> Breakdown:
    """Total ``measures`` by ``category``, listing the ``most`` greatest categories one by one."""
    series = [measure.column.values.alias(f"m{i}") for i, measure in enumerate(measures) if measure.column]
    frame = pl.DataFrame([category.values.cast(pl.String).alias("key"), *series])
    parts = [part for i, measure in enumerate(measures) for part in _parts(i, measure)]
    grouped = frame.group_by("key").agg(pl.len().alias("rows"), *parts)
    grouped = grouped.with_columns(_value(0, measures[0]).alias("order"))
    grouped = grouped.sort(["order", "rows", "key"], descending=[True, True, False], nulls_last=True)
    sums = grouped.select(pl.exclude("key", "order").sum())
    total = _group(sums.row(0, named=True), measures, None, share_of=None)
    share_of = total.values[0] if _has_shares(grouped, measures[0], total) else None
    rows = [_group(row, measures, row["key"], share_of) for row in grouped.head(most).iter_rows(named=True)]
    left = grouped.slice(most)
    rest = None
    if left.height:
        rest = _group(
            left.select(pl.exclude("key", "order").sum()).row(0, named=True), measures, None, share_of
        )
    return Breakdown(category.name, measures, rows, rest, left.height, total)


def _parts(i: int, measure: Measure) -> list[pl.Expr]:
    """Sum and count of present cells: enough for totals and means, and both add up over groups."""
    if measure.column is None:
        return []
    return [pl.col(f"m{i}").sum().alias(f"sum{i}"), pl.col(f"m{i}").count().alias(f"n{i}")]


def _value(i: int, measure: Measure) -> pl.Expr:
    if measure.column is None:
        return pl.col("rows").cast(pl.Float64)
    has_any = pl.when(pl.col(f"n{i}") > 0)
    return has_any.then(pl.col(f"sum{i}") / (pl.col(f"n{i}") if measure.how == "mean" else 1))


def _group(row: dict[str, float], measures: list[Measure], name: str | None, share_of: float | None) -> Group:
    values: list[float | None] = []
    for i, measure in enumerate(measures):
        if measure.column is None:
            values.append(float(row["rows"]))
        elif not row[f"n{i}"]:
            values.append(None)
        else:
            values.append(row[f"sum{i}"] / (row[f"n{i}"] if measure.how == "mean" else 1))
    share = (values[0] or 0.0) / share_of if share_of else None
    return Group(name, int(row["rows"]), values, share)


def _has_shares(grouped: pl.DataFrame, measure: Measure, total: Group) -> bool:
    """Shares mean something for sums of which none is negative."""
    lowest = grouped["order"].min()
    return measure.how != "mean" and (total.values[0] or 0) > 0 and lowest is not None and float(lowest) >= 0  # type: ignore[arg-type]
