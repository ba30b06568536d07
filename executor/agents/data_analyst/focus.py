"""What the report is about: which measures, which categories, which dates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from executor.agents.data_analyst.columns import Column, Kind, lead_rank, words

if TYPE_CHECKING:
    from executor.agents.data_analyst.question import Question

_MOST_MEASURES = 3
_MOST_CATEGORIES = 4
_WANTS_MEAN = r"平均|均值|\baverage|\bmean\b|\bavg\b"
_WANTS_SUM = r"合计|总和|总计|总额|求和|\bsum\b|\btotals?\b"
_MAIN_DATE = re.compile(r"(日期|date)$", re.IGNORECASE)


@dataclass(frozen=True)
class Measure:
    """What is totalled: a column's sum or mean, or, without a column, the rows."""

    column: Column | None
    how: str  #: ``sum``, ``mean`` or ``count``

    @property
    def name(self) -> str | None:
        return self.column.name if self.column else None

    @property
    def unit(self) -> str:
        return self.column.unit if self.column else ""


@dataclass(frozen=True)
class Focus:
    """The columns that lead the report, the named ones first."""

    measures: list[Measure]
    categories: list[Column]
    date: Column | None
    #: Columns that the task names.
    named: list[str]
    #: Named columns that cannot lead, each with its kind.
    unsuited: list[Column]

    @property
    def lead(self) -> Measure:
        return self.measures[0]


def choose_focus(columns: list[Column], question: Question) -> Focus:
    """Let the named columns lead, and fill up with those most likely to matter."""
    named = question.named_columns([column.name for column in columns])
    by_name = {column.name: column for column in columns}
    asked = [by_name[name] for name in named]
    return Focus(
        measures=_measures(columns, asked, question),
        categories=_categories(columns, asked),
        date=_date(columns, asked),
        named=named,
        unsuited=[
            column
            for column in asked
            if column.kind in {Kind.EMPTY, Kind.IDENTIFIER} and not _repeats(column)
        ],
    )


def _measures(columns: list[Column], asked: list[Column], question: Question) -> list[Measure]:
    numbers = [column for column in columns if column.kind is Kind.NUMBER]
    lead = [column for column in asked if column.kind is Kind.NUMBER]
    # Sums come before means, then the names that promise the main measure, then the file's order.
    others = sorted(
        (column for column in numbers if column not in lead),
        key=lambda column: (not column.additive, _rank(column)),
    )
    chosen = [Measure(column, _how(column, question, is_only=len(lead) == 1)) for column in lead]
    chosen += [Measure(column, "sum" if column.additive else "mean") for column in others]
    return chosen[:_MOST_MEASURES] or [Measure(None, "count")]


def _rank(column: Column) -> int:
    rank = lead_rank(column.name)
    return 99 if rank is None else rank


def _how(column: Column, question: Question, *, is_only: bool) -> str:
    if question.wants(_WANTS_MEAN, column.name, is_only=is_only):
        return "mean"
    is_sum = column.additive or question.wants(_WANTS_SUM, column.name, is_only=is_only)
    return "sum" if is_sum else "mean"


def _categories(columns: list[Column], asked: list[Column]) -> list[Column]:
    lead = [
        column
        for column in asked
        if column.is_grouping or (column.kind in {Kind.TEXT, Kind.IDENTIFIER} and _repeats(column))
    ]
    others = [
        column for column in columns if column.is_grouping and column.distinct > 1 and column not in lead
    ]
    others.sort(key=lambda column: (column.kind is Kind.BOOLEAN, column.distinct > 30))
    return (lead + others)[: max(_MOST_CATEGORIES, len(lead))]


def _repeats(column: Column) -> bool:
    """Tell whether grouping by this column would say more than listing the rows."""
    return 0 < column.distinct <= (column.values.len() - column.missing) / 2


def _date(columns: list[Column], asked: list[Column]) -> Column | None:
    dates = [column for column in columns if column.kind is Kind.DATE]
    named = [column for column in asked if column.kind is Kind.DATE]
    dates.sort(key=lambda column: (not _MAIN_DATE.search(words(column.name)), column.missing))
    return next(iter(named + dates), None)
