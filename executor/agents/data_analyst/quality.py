"""How complete and how clean a table is: missing cells, rows that repeat, keys that repeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from executor.agents.data_analyst.columns import Column, Kind
from executor.agents.data_analyst.csv_table import ROW

if TYPE_CHECKING:
    from executor.agents.data_analyst.csv_table import CsvTable

_EXAMPLES = 5


@dataclass(frozen=True)
class RepeatedKey:
    """An identifier that should tell rows apart and does not."""

    column: str
    #: Values that occur in several rows which are not copies of each other, and one of them.
    values: int
    example: str


@dataclass(frozen=True)
class Quality:
    """What is missing and what repeats. Row numbers are those of a spreadsheet."""

    cells: int
    missing_cells: int
    rows_with_missing: int
    #: Rows that equal an earlier row in every cell.
    duplicate_rows: int
    #: Some of them: the row, and the earlier row that it repeats.
    duplicates: list[tuple[int, int]]
    repeated_keys: list[RepeatedKey]


def is_duplicate(table: CsvTable) -> pl.Series:
    """Mark the rows that equal an earlier row in every cell."""
    # 64-bit hashes: among a million rows the chance of one false match is 1 in 37 million.
    return ~table.frame.select(table.names).hash_rows().is_first_distinct()


def check_quality(table: CsvTable, columns: list[Column], duplicate: pl.Series) -> Quality:
    """Count what is missing and what repeats."""
    missing = pl.DataFrame([column.values.is_null().alias(str(i)) for i, column in enumerate(columns)])
    return Quality(
        cells=table.rows * len(columns),
        missing_cells=sum(column.missing for column in columns),
        rows_with_missing=int(missing.select(pl.any_horizontal(pl.all()).sum()).item()),
        duplicate_rows=int(duplicate.sum()),
        duplicates=_examples(table, duplicate),
        repeated_keys=[key for column in columns if (key := _repeated(column, duplicate))],
    )


def _examples(table: CsvTable, duplicate: pl.Series) -> list[tuple[int, int]]:
    if not duplicate.any():
        return []
    hashes = pl.DataFrame([table.frame[ROW], table.frame.select(table.names).hash_rows().alias("h")])
    repeats = hashes.filter(duplicate).head(_EXAMPLES)
    first = hashes.filter(pl.col("h").is_in(repeats["h"].to_list())).group_by("h").agg(pl.col(ROW).min())
    earlier = dict(first.iter_rows())
    return [(row, earlier[digest]) for row, digest in repeats.iter_rows()]


def _repeated(column: Column, duplicate: pl.Series) -> RepeatedKey | None:
    present = column.values.len() - column.missing
    if column.kind is not Kind.IDENTIFIER or column.distinct < present * 0.9:
        return None  # a reference to something else, such as a customer's number, may well repeat
    kept = column.values.filter(~duplicate).drop_nulls()
    if kept.n_unique() == kept.len():
        return None
    repeated = kept.filter(kept.is_duplicated()).unique(maintain_order=True)
    return RepeatedKey(column.name, repeated.len(), str(repeated[0]))
