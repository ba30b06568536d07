"""The report's language: its sentences and its way to write numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_CHINESE_SCALES = ((1e12, "万亿"), (1e8, "亿"), (1e4, "万"))
_ENGLISH_SCALES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))
#: Numbers below this are short enough as they are: 9,876.
_SHORT_ENOUGH = 1e4


class Wording:
    """Speaks Simplified Chinese or English, and never mixes the two."""

    def __init__(self, *, chinese: bool) -> None:
        self.chinese = chinese

    @classmethod
    def of(cls, description: str) -> Wording:
        """Choose the language in which the task was written."""
        return cls(chinese=bool(_HAN.search(description)))

    @property
    def code(self) -> str:
        """The language's code, as Gateway writes it."""
        return "zh-hans" if self.chinese else "en"

    def say(self, english: str, chinese: str) -> str:
        """Return the sentence of the report's language."""
        return chinese if self.chinese else english

    def rows(self, count: int) -> str:
        """``1 row``, ``1,200 rows``, ``1,200 行``."""
        return self._counted(count, "row", "行")

    def cells(self, count: int) -> str:
        """``1 cell``, ``12 cells``, ``12 个单元格``."""
        return self._counted(count, "cell", "个单元格")

    def columns(self, count: int) -> str:
        """``1 column``, ``8 columns``, ``8 列``."""
        return self._counted(count, "column", "列")

    def files(self, count: int) -> str:
        """``1 file``, ``3 files``, ``3 个文件``."""
        return self._counted(count, "file", "个文件")

    def months(self, count: int) -> str:
        """``1 month``, ``18 months``, ``18 个月``."""
        return self._counted(count, "month", "个月")

    def _counted(self, count: int, english: str, chinese: str) -> str:
        if self.chinese:
            return f"{count:,} {chinese}"
        return f"{count:,} {english}" if count == 1 else f"{count:,} {english}s"

    def quote(self, name: str) -> str:
        """Put a name taken from the data or the task in quotes."""
        return f"“{name}”"

    def list(self, names: Iterable[str], most: int = 12) -> str:
        """Join names, saying how many more there are beyond ``most``."""
        names = list(names)
        text = ("、" if self.chinese else ", ").join(names[:most])
        left = len(names) - most
        if left > 0:
            text += self.say(f" and {left} more", f" 等共 {len(names)} 项")
        return text

    def sentences(self, parts: Iterable[str]) -> str:
        """Join whole sentences as the language does: with a space, or with nothing."""
        return ("" if self.chinese else " ").join(parts)

    def missing(self) -> str:
        """The name under which rows without a category are counted."""
        return self.say("(missing)", "（空）")

    def other(self, count: int) -> str:
        """The name of the categories that are not listed one by one."""
        return self.say(f"Other ({count:,})", f"其他（{count:,} 项）")

    def number(self, value: float, places: int | None = None) -> str:
        """Write a number in full: ``1,234,567.89``, ``1,200``, ``0.0417``.

        ``places`` fixes the decimals, so that the numbers of a table's column line up;
        numbers below 0.01 keep their first digits all the same.
        """
        size = abs(value)
        if size >= 1e15 or 0 < size < 1e-4:
            return f"{value:.4g}"
        if places is None:
            places = 0 if value == int(value) else 2
        if 0 < size < (0.01 if places else 1) and value != int(value):
            return f"{value:.4f}".rstrip("0")
        return f"{value:,.{places}f}"

    def short(self, value: float) -> str:
        """Write a number for a chart: ``12.3K`` in English, ``1.23 万`` in Chinese."""
        for scale, name in _CHINESE_SCALES if self.chinese else _ENGLISH_SCALES:
            if abs(value) >= max(scale, _SHORT_ENOUGH):
                scaled = value / scale
                places = 0 if abs(scaled) >= 1000 else 1 if abs(scaled) >= 100 else 2
                text = f"{scaled:,.{places}f}"
                text = text.rstrip("0").rstrip(".") if "." in text else text
                return f"{text} {name}" if self.chinese else f"{text}{name}"
        places = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
        text = self.number(round(value, places) if abs(value) >= 1 else value)
        return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text

    def percent(self, share: float, *, signed: bool = False) -> str:
        """Write a share of 1 as a percentage with one decimal: ``12.5%``, ``+3.0%``."""
        return f"{share * 100:+,.1f}%" if signed else f"{share * 100:,.1f}%"
