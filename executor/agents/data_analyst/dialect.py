"""How a delimited file is written: its delimiter, its header, and where its rows begin."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass

#: Stands between the cells of a table that has only one column: it occurs in no text.
NO_DELIMITER = "\x1f"
_SAMPLE_BYTES = 256 * 1024
_SAMPLE_RECORDS = 300
_USUAL = [",", ";", "\t", "|"]
_UNUSUAL = [
    "，",
    "；",
    "::",
    "\x01",
    NO_DELIMITER,
    "^",
    "~",
    "§",
    "¦",
    "#",
    ":",
    "!",
    "*",
    "@",
    "&",
    "=",
    "+",
    " ",
]
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_DATE = re.compile(r"\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?([ T]\d{1,2}:\d{2}.*)?")
_YEAR = re.compile(r"(19|20|21)\d{2}")
_NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?")


@dataclass(frozen=True)
class Dialect:
    """The way one file is written."""

    delimiter: str
    #: The header's cells as written, or ``None`` if the first record is already data.
    header: list[str] | None
    #: Columns of the header, or of most records if there is none.
    width: int
    #: Bytes before the first data record.
    data_start: int
    #: Lines before the first data record, the header's included.
    lines_before: int
    #: Records of text above the header, such as a title.
    preamble: int

    @property
    def byte(self) -> str:
        """The one-byte delimiter that stands for this one while the file is parsed."""
        return self.delimiter if len(self.delimiter.encode()) == 1 else NO_DELIMITER


def sniff(data: bytes) -> Dialect:
    """Judge from the beginning of ``data`` (UTF-8, ``\\n`` line ends) how it is written.

    The delimiter is the character that splits the most records, header included, into
    the same number of cells; failing that, the one that the header has. Without any, the
    file has one column.
    """
    is_cut = len(data) > _SAMPLE_BYTES
    lines = _LINE.findall(data[:_SAMPLE_BYTES].decode("utf-8", errors="ignore"))
    if is_cut and len(lines) > 1:
        lines.pop()
    delimiter, skip = _declared(lines)
    if delimiter is None:
        delimiter = _best(lines, _USUAL, least=0.4) or _best(lines, _UNUSUAL, least=0.9) or _in_header(lines)
    return _with_header(lines, delimiter, skip)


def looks_delimited(data: bytes) -> bool:
    """Tell a table from prose: at least three records, nearly all with as many cells."""
    lines = _LINE.findall(data.decode("utf-8", errors="ignore"))[:_SAMPLE_RECORDS]
    if len([line for line in lines if line.strip()]) < 3:
        return False
    # A comma is also punctuation, so it alone has to make three columns.
    return bool(_best(lines, [";", "\t", "|"], least=0.9) or _best(lines, [","], least=0.9, width=3))


def _declared(lines: list[str]) -> tuple[str | None, int]:
    """Heed the line ``sep=;`` that Excel writes and reads."""
    match = re.fullmatch(r'"?sep=(.)"?\n?', lines[0], re.IGNORECASE) if lines else None
    return (match.group(1), 1) if match else (None, 0)


def _records(lines: list[str], delimiter: str) -> list[tuple[list[str], int]]:
    """Split lines into records, each with the number of lines read so far."""
    if len(delimiter) > 1:
        lines = [line.replace(delimiter, "\x1f") for line in lines]
        delimiter = "\x1f"
    records: list[tuple[list[str], int]] = []
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        for cells in reader:
            records.append((cells, reader.line_num))
            if len(records) == _SAMPLE_RECORDS:
                break
    except csv.Error:
        pass  # a quote that is never closed; what came before it is enough to judge
    return records


def _best(lines: list[str], candidates: list[str], *, least: float, width: int = 2) -> str | None:
    first_lines = "".join(lines[:10])
    if "||" in first_lines and "|" in candidates:
        candidates = ["||", *candidates]
    best: tuple[float, int] = (least, width - 1)
    choice = None
    for candidate in candidates:
        if candidate not in first_lines:
            continue
        share, cells = _evenness(_records(lines, candidate))
        if cells < (3 if candidate == " " else width) or (candidate == "|" and choice == "||"):
            continue
        if (share, cells) > best:
            best, choice = (share, cells), candidate
    return choice


def _in_header(lines: list[str]) -> str:
    """Return the delimiter that the first line has most of, or the one that stands for a single column."""
    first = next((line for line in lines if line.strip()), "")
    best = max(_USUAL, key=first.count)
    return best if best in first else NO_DELIMITER


def _evenness(records: list[tuple[list[str], int]]) -> tuple[float, int]:
    """Return the share of records that have the usual number of cells, and that number."""
    widths = [len(cells) for cells, _ in records if any(cell.strip() for cell in cells)]
    if not widths:
        return 0.0, 0
    usual, count = Counter(widths).most_common(1)[0]
    if len(widths) < 3:
        usual, count = widths[0], widths.count(widths[0])
    share = count / len(widths)
    # A character that the header lacks is punctuation of the cells, not the delimiter,
    # unless the first record is a title and nearly all others have the same width.
    has_title = widths[0] == 1 and usual in widths[1:4] and count >= 0.9 * (len(widths) - 1)
    return (share if widths[0] == usual or has_title else share / 2), usual


def _with_header(lines: list[str], delimiter: str, skip: int) -> Dialect:
    records = _records(lines[skip:], delimiter)
    full = [i for i, (cells, _) in enumerate(records) if any(cell.strip() for cell in cells)]
    _, usual = _evenness(records)
    first = next((i for i in full if _filled(records[i][0]) > 1), full[0]) if usual > 1 and full else 0
    cells, lines_read = records[first] if records else ([], 0)
    following = [records[i][0] for i in full if i > first][:5]
    has_header = not _is_data(cells, following)
    lines_before = skip + (lines_read if has_header else records[first - 1][1] if first else 0)
    return Dialect(
        delimiter=delimiter,
        header=cells if has_header else None,
        width=len(cells) if has_header else max(usual, len(cells)),
        data_start=len("".join(lines[:lines_before]).encode()),
        lines_before=lines_before,
        preamble=len([i for i in full if i < first]),
    )


def _filled(cells: list[str]) -> int:
    return sum(1 for cell in cells if cell.strip())


def _is_data(cells: list[str], following: list[list[str]]) -> bool:
    """Tell whether a first record is data: each cell is of the same sort as those below it.

    Years do not count as numbers here, because tables often have them as headers.
    """
    sorts = [_sort(cell) for cell in cells]
    if not following or not {"date", "number"} & set(sorts):
        return False
    return all([_sort(cell) for cell in record] == sorts for record in following)


def _sort(cell: str) -> str:
    cell = cell.strip()
    if _YEAR.fullmatch(cell):
        return "year"
    if _DATE.fullmatch(cell):
        return "date"
    return "number" if _NUMBER.fullmatch(cell) else "text"
