"""Cells that are dates, however people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

_YEARS = (1900, 2100)
_DATE_NAME = re.compile(r"日期|时间|年月|月份|date|time|month|(^|[_\s])(day|dt|on|at)$", re.IGNORECASE)
_CLOCK = r"(?:[T\s]\s*(\d{1,2}):(\d{2})(?::(\d{2}))?(?:[.,]\d+)?\s*(?:Z|UTC|[-+]\d{2}:?\d{2})?)?"
_YEAR_FIRST = rf"^(\d{{4}})\s*[-/.年]\s*(\d{{1,2}})(?:\s*[-/.月]\s*(\d{{1,2}}))?\s*[日月]?{_CLOCK}$"
_COMPACT = r"^(\d{4})(\d{2})(\d{2})?(?:(\d{2})(\d{2})(\d{2}))?$"
_YEAR_LAST = rf"^(\d{{1,2}})[-/.](\d{{1,2}})[-/.](\d{{4}}){_CLOCK}$"
_ENGLISH = ("%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %Y", "%B %Y", "%b-%Y")


@dataclass(frozen=True)
class Dates:
    """Cells read as local date and time; a cell that is none is null."""

    values: pl.Series
    #: True if ``3/4/2024`` was read as month/day though nothing in the column proves it.
    order_is_a_guess: bool = False


def has_date_name(name: str) -> bool:
    """Tell whether a column's name suggests dates, so that ``20240105`` may be one."""
    return bool(_DATE_NAME.search(name))


def read_dates(cells: pl.Series, *, compact: bool) -> Dates:
    """Read text cells (stripped, null where missing) as dates.

    Understands 2024-01-05, 2024/1/5, 2024.1.5, 2024年1月5日, months alone (the first
    day stands for the month), times and time zones (kept as local wall time),
    5/1/2024, 5 Jan 2024, and with ``compact`` also 20240105 and 202401.
    """
    values = cells.str.to_datetime("%Y-%m-%d", strict=False, time_unit="us")
    if values.null_count() == cells.null_count():
        return Dates(_sensible(values))
    values = _fill(values, _from_parts(cells.str.extract_groups(_YEAR_FIRST), "123456"))
    if compact:
        values = _fill(values, _from_parts(cells.str.extract_groups(_COMPACT), "123456"))
    is_guess = False
    parts = cells.str.extract_groups(_YEAR_LAST)
    if parts.struct.field("3").null_count() < cells.len():
        order, is_guess = _day_month_order(cells, parts)
        values = _fill(values, _from_parts(parts, order))
    if values.null_count() > cells.null_count() and cells.str.contains(r"^[A-Za-z\d]+[\s-][A-Za-z\d]").any():
        for form in _ENGLISH:
            values = _fill(values, _english(cells, form))
    return Dates(_sensible(values), is_guess)


def _day_month_order(cells: pl.Series, parts: pl.Series) -> tuple[str, bool]:
    """Return the groups in the order year, month, day, hour …, and whether that is a guess."""
    first = parts.struct.field("1").cast(pl.Int32)
    second = parts.struct.field("2").cast(pl.Int32)
    day_first, month_first = int((first > 12).sum()), int((second > 12).sum())
    dotted = bool(cells.str.contains(r"^\d{1,2}\.").any())
    if day_first > month_first or (dotted and not month_first):
        return "321456", False
    return "312456", not month_first


def _from_parts(parts: pl.Series, order: str) -> pl.Series:
    """Build dates from text groups; an impossible one such as 2024-02-30 becomes null."""
    year, month, day, hour, minute, second = (parts.struct.field(group) for group in order)
    stamp = pl.DataFrame(
        [
            year.rename("y"),
            month.str.zfill(2).rename("m"),
            day.str.zfill(2).fill_null("01").rename("d"),
            hour.str.zfill(2).fill_null("00").rename("h"),
            minute.fill_null("00").rename("n"),
            second.fill_null("00").rename("s"),
        ]
    ).select(pl.format("{}-{}-{} {}:{}:{}", "y", "m", "d", "h", "n", "s"))
    return stamp.to_series().str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us")


def _english(cells: pl.Series, form: str) -> pl.Series:
    if "%d" not in form:  # a date needs a day
        cells, form = "1 " + cells, f"%d {form}"
    return cells.str.to_date(form, strict=False).cast(pl.Datetime("us"))


def _fill(values: pl.Series, more: pl.Series) -> pl.Series:
    return values.to_frame("a").with_columns(more.alias("b")).select(pl.coalesce("a", "b")).to_series()


def _sensible(values: pl.Series) -> pl.Series:
    year = values.dt.year()
    frame = pl.DataFrame([values.alias("v"), year.is_between(*_YEARS).alias("ok")])
    return frame.select(pl.when(pl.col("ok")).then(pl.col("v"))).to_series()
