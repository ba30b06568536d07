"""A delimited file as a table of text cells, with what was odd about it."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from executor.agents.data_analyst.csv_text import to_utf8
from executor.agents.data_analyst.dialect import NO_DELIMITER, Dialect, sniff
from executor.agents.data_analyst.errors import UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from executor.agents.data_analyst.wording import Wording

#: Column of row numbers as a spreadsheet shows them: the line of the file, as long as no cell spans lines.
ROW = "\x00row"
_EXTRA = "\x00extra"
#: Parsing with Python's csv module takes about 50 times the file's size in memory.
_CAREFUL_BYTES = 32 << 20
_NAMED_DELIMITERS = {
    ",": ("comma", "逗号"),
    ";": ("semicolon", "分号"),
    "\t": ("tab", "制表符"),
    "|": ("|", "|"),
}


@dataclass
class CsvTable:
    """One file's cells. ``frame`` has a text column per name and the column ``ROW``."""

    name: str
    frame: pl.DataFrame
    names: list[str]
    encoding: str
    delimiter: str
    #: Sentences about what was odd and how it was read.
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return self.frame.height


def delimiter_name(delimiter: str, wording: Wording) -> str:
    """The delimiter's name for people."""
    if delimiter == NO_DELIMITER:
        return wording.say("none", "无")
    english, chinese = _NAMED_DELIMITERS.get(delimiter, (repr(delimiter)[1:-1], repr(delimiter)[1:-1]))
    return wording.say(english, chinese)


def read_table(path: Path, name: str, wording: Wording) -> CsvTable:
    """Read a whole file. Raise ``UnusableFileError``, naming file and reason, if it is no table."""
    try:
        raw = path.read_bytes()
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise UnusableFileError(
            wording.say(f"{name} cannot be read: {reason}.", f"无法读取 {name}：{reason}。")
        ) from exc
    text = to_utf8(raw, name, wording)
    dialect = sniff(text.data)
    data = text.data[dialect.data_start :].rstrip(b"\n")
    encoding, damaged = text.encoding, text.damaged
    del raw, text  # each is as large as the file
    if not data.strip():
        raise UnusableFileError(
            wording.say(
                f"{name} has a header but no rows of data. Export it again with its rows.",
                f"{name} 只有表头，没有数据行。请重新导出包含数据的文件。",
            )
        )
    names, notes = _column_names(dialect, wording)
    if damaged:
        notes.append(
            wording.say(
                f"{damaged:,} characters are damaged (not valid {encoding}) and shown as \ufffd.",
                f"有 {damaged:,} 个字符已损坏（不是有效的 {encoding}），显示为 \ufffd。",
            )
        )
    frame = _parse(data, dialect, name, names, wording)
    frame = frame.with_row_index(ROW, offset=dialect.lines_before + 1)
    notes += _ragged_notes(data, dialect, frame, wording)
    frame = _without_empty_rows(frame.drop(_EXTRA), names, name, notes, wording)
    return CsvTable(name, frame, names, encoding, dialect.delimiter, notes)


def _column_names(dialect: Dialect, wording: Wording) -> tuple[list[str], list[str]]:
    """Give every column a name of its own, and say which names are not the file's."""
    notes: list[str] = []
    if dialect.preamble:
        notes.append(
            wording.say(
                f"Skipped {dialect.preamble} title line(s) above the header.",
                f"跳过了表头上方的 {dialect.preamble} 行标题。",
            )
        )
    if dialect.header is None:
        notes.append(
            wording.say("The file has no header; columns are numbered.", "文件没有表头，各列按序号命名。")
        )
    names: list[str] = []
    taken: set[str] = set()
    renamed: list[str] = []
    for position, cell in enumerate(dialect.header or [""] * dialect.width, start=1):
        plain = " ".join(cell.replace("\x00", " ").split()) or wording.say(
            f"column {position}", f"列{position}"
        )
        unique, number = plain, 2
        while unique in taken:
            unique, number = f"{plain} ({number})", number + 1
        taken.add(unique)
        names.append(unique)
        if dialect.header is not None and (unique != plain or not cell.strip()):
            renamed.append(unique)
    if renamed:
        shown = wording.list(wording.quote(item) for item in renamed)
        notes.append(
            wording.say(
                f"Columns without a name of their own were named {shown}.", f"无名或重名的列改称 {shown}。"
            )
        )
    return names, notes


def _parse(data: bytes, dialect: Dialect, name: str, names: list[str], wording: Wording) -> pl.DataFrame:
    """Parse fast; if the quotes are not well formed, parse carefully, as most programs would."""
    placeholders = [f"c{i}" for i in range(len(names))]
    if dialect.byte != dialect.delimiter:
        data = data.replace(dialect.delimiter.encode(), dialect.byte.encode())
    header = dialect.byte.join([*placeholders, "extra"]).encode() + b"\n"
    try:
        frame = pl.read_csv(
            header + data,
            separator=dialect.byte,
            infer_schema=False,
            truncate_ragged_lines=True,
            raise_if_empty=False,
        )
    except pl.exceptions.PolarsError:
        frame = _parse_carefully(data, dialect, name, len(names), wording)
    frame.columns = [*names, _EXTRA]
    if dialect.byte != dialect.delimiter:  # inside quotes it was text, not a delimiter
        frame = frame.with_columns(pl.all().str.replace_all(dialect.byte, dialect.delimiter, literal=True))
    return frame


def _parse_carefully(data: bytes, dialect: Dialect, name: str, width: int, wording: Wording) -> pl.DataFrame:
    if len(data) > _CAREFUL_BYTES:
        raise UnusableFileError(
            wording.say(
                f"{name} has quotes in the middle of cells and is too large ({len(data) >> 20} MB) "
                "to read it carefully. Export it again with every cell that holds a quote put in quotes.",
                f"{name} 的单元格中间出现了引号，且文件过大（{len(data) >> 20} MB），无法逐字读取。"
                "请重新导出，并为含引号的单元格加上引号。",
            )
        )
    columns: list[list[str | None]] = [[] for _ in range(width + 1)]
    for cells in _careful_records(data, dialect, name, wording):
        for position, column in enumerate(columns):
            column.append((cells[position] or None) if position < len(cells) else None)
    return pl.DataFrame({str(i): pl.Series(column, dtype=pl.String) for i, column in enumerate(columns)})


def _careful_records(data: bytes, dialect: Dialect, name: str, wording: Wording) -> Iterator[list[str]]:
    lines = data.decode().split("\n")
    lines = [line + "\n" for line in lines]
    reader = csv.reader(lines, delimiter=dialect.byte)
    start = 0
    try:
        for cells in reader:
            if reader.line_num == len(lines) and _is_unclosed(lines[start:], dialect.byte):
                break
            start = reader.line_num
            yield cells
        else:
            return
    except csv.Error:  # a cell over the csv module's limit: a quote swallowed the rest of the file
        pass
    line = dialect.lines_before + start + 1
    raise UnusableFileError(
        wording.say(
            f'{name}, line {line:,}: a quote (") opens here and is never closed, so the rows after it '
            "cannot be told apart. Close or remove the quote.",
            f'{name} 第 {line:,} 行：此处的引号 (") 没有闭合，其后的各行无法区分。请补上或删除这个引号。',
        )
    )


def _is_unclosed(lines: list[str], delimiter: str) -> bool:
    """Tell whether the last record ends inside a quoted cell."""
    try:
        last = list(csv.reader([*lines, "x"], delimiter=delimiter))[-1]
    except csv.Error:
        return True
    return last != ["x"]


def _ragged_notes(data: bytes, dialect: Dialect, frame: pl.DataFrame, wording: Wording) -> list[str]:
    """Say how many rows have more or fewer cells than the header."""
    notes: list[str] = []
    long = frame.filter(pl.col(_EXTRA).is_not_null())[ROW]
    if long.len():
        notes.append(
            wording.say(
                f"Rows with more cells than the header: {long.len():,} (first: row {long[0]:,}); "
                "the cells beyond it were left out.",
                f"{wording.rows(long.len())}的单元格多于表头（首见第 {long[0]:,} 行），多出的单元格未计入。",
            )
        )
    last = frame.columns[-2]
    may_be_short = frame.width > 3 and frame[last].null_count() > 0
    short, first = _short_rows(data, dialect, frame.width - 2) if may_be_short else (0, 0)
    if short:
        where = wording.say(f" (first: line {first:,})", f"（首见第 {first:,} 行）") if first else ""
        notes.append(
            wording.say(
                f"Rows with fewer cells than the header: {short:,}{where}; "
                "the absent cells count as missing.",
                f"{wording.rows(short)}的单元格少于表头{where}，缺少的单元格按缺失计。",
            )
        )
    return notes


def _short_rows(data: bytes, dialect: Dialect, width: int) -> tuple[int, int]:
    """Count the rows with too few cells, and give the line of the first, or 0 where cells span lines.

    The parser fills absent cells silently, so the delimiters outside quotes are counted here.
    """
    text = pl.Series([data.decode()])
    if b'"' in data:
        text = text.str.replace_all(r'"[^"]*"', "q")
    lines = text.str.split("\n").explode()
    counts = lines.str.count_matches(dialect.delimiter, literal=True)
    is_short = (lines.str.strip_chars() != "") & (counts < width - 1)
    short = int(is_short.sum())
    spans_lines = lines.len() != data.count(b"\n") + 1
    first = is_short.arg_max()
    return short, 0 if spans_lines or first is None else dialect.lines_before + first + 1


def _without_empty_rows(
    frame: pl.DataFrame, names: list[str], name: str, notes: list[str], wording: Wording
) -> pl.DataFrame:
    kept = frame.filter(~pl.all_horizontal(pl.col(names).is_null()))
    if kept.height == 0:
        raise UnusableFileError(
            wording.say(
                f"{name} has rows, but every cell is empty.", f"{name} 虽有数据行，但所有单元格都是空的。"
            )
        )
    empty = frame.height - kept.height
    if empty:
        notes.append(
            wording.say(
                f"Empty rows left out: {empty:,}.",
                f"忽略了 {wording.rows(empty)}空行。",
            )
        )
    return kept
