"""What each column of a table is: its kind, its values, and how it may be used."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import polars as pl

from executor.agents.data_analyst.date_cells import has_date_name, read_dates
from executor.agents.data_analyst.number_cells import read_numbers

if TYPE_CHECKING:
    from executor.agents.data_analyst.csv_table import CsvTable
    from executor.agents.data_analyst.wording import Wording

_MISSING = [
    "",
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "NULL",
    "Null",
    "null",
    "None",
    "NaN",
    "nan",
    "-",
    "--",
    "—",
    "——",
    "空",
]
_SAMPLE = 1_000
#: A column is numeric (or of dates) if at least this share of its cells can be read so.
_MOSTLY = 0.8
_TRUTHS = [{"true", "false"}, {"yes", "no"}, {"y", "n"}, {"是", "否"}, {"t", "f"}, {"对", "错"}, {"有", "无"}]

_ID_NAME = re.compile(
    r"(编号|单号|流水号|序号|编码|代码|工号|学号|卡号|账号|帐号|会员号|身份证号?|电话|手机号?|邮编|邮政编码|条码|批号)$"
    r"|(^|\s)(ids?|no|nr|code|zip|zip ?code|postcode|postal code|phone|mobile|tel|sku|isbn|ean"
    r"|uuid|guid|index|order number|serial number|row number)$",
    re.IGNORECASE,
)
_PERIOD_NAME = re.compile(
    r"^(年份?|年度|月份?|季度?|周|星期|小时)$|(^|\s)(year|month|quarter|week|weekday|hour|day)$",
    re.IGNORECASE,
)
_MEAN_NAME = re.compile(
    r"单价|均价|价格|售价|进价|率$|比例|占比|百分比|平均|均值|年龄|评分|得分|分数|温度|湿度|折扣|纬度|经度|身高|体重|时长$|等级"
    r"|(^|\s)(price|rate|ratio|percent|percentage|pct|avg|average|mean|median|age|score|rating|temperature|temp"
    r"|humidity|discount|latitude|longitude|lat|lon|lng|height|weight|margin|share|grade)$",
    re.IGNORECASE,
)
_FLAG_NAME = re.compile(r"^是否|^(is|has|was|can)\s", re.IGNORECASE)
_LEAD_NAMES = (
    r"销售额|营业额|成交额|交易额|revenue|turnover|sales amount|sales",
    r"总额|总价|金额|收入|合计|amount|total|income",
    r"利润|毛利|profit",
    r"成本|费用|支出|cost|expense|spend",
    r"销量|数量|件数|quantity|qty|units|count|volume",
)


class Kind(Enum):
    """What a column holds."""

    NUMBER = "number"  #: a measure: totalled or averaged
    DATE = "date"  #: a day, month or moment
    BOOLEAN = "boolean"  #: yes or no; groups rows like a category
    CATEGORY = "category"  #: few values that repeat; groups rows
    TEXT = "text"  #: free text or names that hardly repeat
    IDENTIFIER = "identifier"  #: numbers or codes that only tell rows apart; never added up
    EMPTY = "empty"  #: no cell has a value


@dataclass
class Column:
    """One column. ``values`` is Float64, Datetime or text by kind; null where missing or unreadable."""

    name: str
    kind: Kind
    values: pl.Series
    missing: int
    distinct: int
    #: Cells that hold something which does not fit the kind, and some of them.
    unreadable: int = 0
    examples: list[str] = field(default_factory=list)
    unit: str = ""
    #: False for prices, rates, ages and the like: their sum means nothing, their mean does.
    additive: bool = True
    #: True if all values are whole numbers, which are then written without decimals.
    is_whole: bool = False

    @property
    def is_grouping(self) -> bool:
        """True if rows can be grouped by this column's values."""
        return self.kind in {Kind.CATEGORY, Kind.BOOLEAN}


def words(name: str) -> str:
    """Split ``orderId`` and ``order_id`` into words, so that names are compared alike."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    spaced = re.sub(r"[(（\[【].*?[)）\]】]\s*$", "", spaced)  # a unit, as in 销售额(元)
    return " ".join(re.sub(r"[_\-.\s/]+", " ", spaced).split())


def read_columns(table: CsvTable, wording: Wording) -> list[Column]:
    """Find the kind of every column and convert its cells; add to the table's notes what was doubtful."""
    cleaned = table.frame.select(pl.col(table.names).str.strip_chars().name.keep())
    markers = cleaned.select(pl.all().is_in(_MISSING[1:]).sum())
    marked = sum(markers.row(0)) if cleaned.width else 0
    if marked:
        notes = f"{wording.cells(int(marked))}"
        table.notes.append(
            wording.say(
                f"Counted as missing: {notes} with a word for nothing, such as NA, null or -.",
                f"{notes}写的是“无值”的记号（如 NA、null、-），按缺失计。",
            )
        )
    cleaned = cleaned.select(pl.when(~pl.all().is_in(_MISSING)).then(pl.all()).name.keep())
    return [_read_column(cleaned[name], table, wording) for name in table.names]


def _read_column(cells: pl.Series, table: CsvTable, wording: Wording) -> Column:
    present = cells.len() - cells.null_count()
    if not present:
        return Column(cells.name, Kind.EMPTY, cells, cells.len(), 0)
    sample = cells.drop_nulls().gather_every(max(1, present // _SAMPLE))
    column = (
        _as_code(cells, sample)
        or _as_boolean(cells, sample)
        or _as_date(cells, sample, table, wording, only_named=True)
        or _as_number(cells, sample, table, wording)
        or _as_date(cells, sample, table, wording, only_named=False)
        or _as_text(cells, sample)
    )
    _note_unreadable(column, cells)
    return column


def _column(cells: pl.Series, kind: Kind, values: pl.Series, **facts: object) -> Column:
    return Column(cells.name, kind, values, cells.null_count(), values.drop_nulls().n_unique(), **facts)  # type: ignore[arg-type]


def _as_code(cells: pl.Series, sample: pl.Series) -> Column | None:
    """Digits with leading zeros are codes; as numbers they would lose them."""
    if int(sample.str.contains(r"^0\d+$").sum()) > sample.len() * 0.05:
        return _grouped(cells, Kind.IDENTIFIER)
    return None


def _as_boolean(cells: pl.Series, sample: pl.Series) -> Column | None:
    truths = [*_TRUTHS, {"0", "1"}] if _FLAG_NAME.search(words(cells.name)) else _TRUTHS
    found = set(sample.str.to_lowercase().unique())
    if len(found) > 2 or not any(found <= truth for truth in truths):
        return None
    if not any(set(cells.drop_nulls().str.to_lowercase().unique()) <= truth for truth in truths):
        return None
    return _column(cells, Kind.BOOLEAN, cells)


def _as_date(
    cells: pl.Series, sample: pl.Series, table: CsvTable, wording: Wording, *, only_named: bool
) -> Column | None:
    is_named = has_date_name(words(cells.name))
    if only_named and not is_named:
        return None
    if not _fits(read_dates(sample, compact=is_named).values, sample):
        return None
    dates = read_dates(cells, compact=is_named)
    if not _fits(dates.values, cells):
        return None
    if dates.order_is_a_guess:
        table.notes.append(
            wording.say(
                f"{wording.quote(cells.name)}: dates such as {sample[0]} were read as month/day/year.",
                f"{wording.quote(cells.name)}：形如 {sample[0]} 的日期按“月/日/年”读取。",
            )
        )
    return _column(cells, Kind.DATE, dates.values)


def _as_number(cells: pl.Series, sample: pl.Series, table: CsvTable, wording: Wording) -> Column | None:
    if not _fits(read_numbers(sample).values, sample):
        return None
    numbers = read_numbers(cells)
    if not _fits(numbers.values, cells):
        return None
    name = words(cells.name)
    column = _column(cells, Kind.NUMBER, numbers.values, unit=numbers.unit)
    if numbers.currencies:
        found = wording.list(numbers.currencies)
        table.notes.append(
            wording.say(
                f"{wording.quote(cells.name)} mixes currencies ({found}), added without conversion.",
                f"{wording.quote(cells.name)}混有多种货币（{found}），合计时未作换算。",
            )
        )
    if _PERIOD_NAME.search(name) and _is_whole(numbers.values) and column.distinct <= 400:
        return _grouped(cells, Kind.CATEGORY)
    if not numbers.unit and _is_identifier(name, column):
        return _grouped(cells, Kind.IDENTIFIER)
    column.is_whole = _is_whole(numbers.values)
    column.additive = numbers.unit != "%" and not _MEAN_NAME.search(name)
    return column


def _grouped(cells: pl.Series, kind: Kind) -> Column:
    return _column(cells, kind, cells)


def _is_identifier(name: str, column: Column) -> bool:
    """Judge numbers by name, else by being whole, all different, and either a sequence or long."""
    if _ID_NAME.search(name):
        return True
    values = column.values.drop_nulls()
    if (
        values.len() < 20
        or column.distinct < values.len()
        or not _is_whole(values)
        or lead_rank(name) is not None
    ):
        return False
    low, high = float(values.min()), float(values.max())  # type: ignore[arg-type]
    is_sequence = high - low == values.len() - 1
    return is_sequence or (low >= 1e7 and len(str(int(low))) == len(str(int(high))))


def _is_whole(values: pl.Series) -> bool:
    return bool((values.drop_nulls() % 1 == 0).all())


def _as_text(cells: pl.Series, sample: pl.Series) -> Column:
    column = _column(cells, Kind.TEXT, cells)
    present = cells.len() - column.missing
    is_unique = column.distinct == present
    has_codes = bool(sample.str.contains(r"^[^\s\u3400-\u9fff]*\d[^\s\u3400-\u9fff]*$").all())
    if (_ID_NAME.search(words(cells.name)) and column.distinct > present / 2) or (
        has_codes and present >= 20 and column.distinct > present * 0.95
    ):
        column.kind = Kind.IDENTIFIER
    elif column.distinct <= max(50, present * 0.2) and not (is_unique and present > 30):
        column.kind = Kind.CATEGORY
    return column


def _fits(values: pl.Series, cells: pl.Series) -> bool:
    present = cells.len() - cells.null_count()
    return values.len() - values.null_count() >= present * _MOSTLY


def _note_unreadable(column: Column, cells: pl.Series) -> None:
    column.unreadable = column.values.null_count() - cells.null_count()
    if column.unreadable:
        column.examples = (
            cells.filter(column.values.is_null() & cells.is_not_null())
            .unique(maintain_order=True)[:3]
            .to_list()
        )


def lead_rank(name: str) -> int | None:
    """Return how much a name promises a table's main measure (0 is most), or ``None``."""
    for rank, pattern in enumerate(_LEAD_NAMES):
        if re.search(rf"({pattern})", words(name), re.IGNORECASE):
            return rank
    return None
