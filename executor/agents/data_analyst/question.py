"""What the task's text asks for: files, columns, and the rest that the analyst cannot do."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from executor.agents.data_analyst.beyond import is_beyond, wishes_beyond
from executor.agents.data_analyst.errors import AnalysisError
from executor.agents.data_analyst.mentions import (
    FILE_WORD,
    bounded,
    file_in,
    named_by_stem,
    named_with_ending,
    plain,
    quoted,
    stem,
)
from executor.agents.data_analyst.wording import Wording

if TYPE_CHECKING:
    from collections.abc import Callable

_GROUP_WORDS = (
    re.compile(
        r"(?:按照|按|每个|各个)\s*([\u3400-\u9fffA-Za-z_]{1,12}?)"
        r"(?:来|进行|分组|分类|统计|汇总|合计|分析|计算|排序|对比|看|的|，|,|。|\s|$)"
    ),
    re.compile(
        r"(?<![A-Za-z])(?:by|per|column|field)\s+(?:the\s+|each\s+|named\s+|called\s+)?([A-Za-z_]\w*)",
        re.IGNORECASE,
    ),
    re.compile(r"([\u3400-\u9fff]{2,8}?)(?:这一|这|一)列"),
)
_NO_COLUMN = re.compile(
    r"^(?:月|月份|月度|每月|类别|分类|类|列|字段|文件|表|表格|人|要求|需要|时|照|顺序"
    r"|months?|monthly|category|categories|columns?|files?|rows?|the|a|an|default|hand|far|that|cent|row"
    r"|and|or|for|is|are|has|have|in|of|on|with|to|names?|types?|values?|which|should|contains?|size|statistics)$",
    re.IGNORECASE,
)
#: Names of the same thing, so that “sales by region” finds 销售额 and 地区.
_SYNONYMS = (
    ("region", "area", "地区", "区域", "大区"),
    ("product", "item", "产品", "商品"),
    ("category", "类别", "品类", "分类"),
    ("sales", "revenue", "turnover", "amount", "销售额", "营业额", "成交额", "金额"),
    ("quantity", "qty", "units", "数量", "销量", "件数"),
    ("price", "单价", "价格"),
    ("customer", "client", "客户", "顾客"),
    ("salesperson", "sales rep", "seller", "销售员", "业务员"),
    ("profit", "利润", "毛利"),
    ("cost", "成本", "费用"),
    ("city", "城市"),
    ("channel", "渠道"),
    ("store", "shop", "门店", "店铺"),
    ("department", "部门"),
)


@dataclass
class Question:
    """The task's wish, and what of it has found its match so far."""

    text: str
    wording: Wording
    file: str | None = None
    column: str | None = None
    ignored: list[str] = field(default_factory=list)
    _missing_files: list[str] = field(default_factory=list)
    _column_text: str = ""
    _found: set[str] = field(default_factory=set)
    _seen_columns: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, description: str, given: Any) -> Question:
        """Read the description and ``input``, whose only keys are ``file`` and ``column``."""
        question = cls(description, Wording.of(description))
        given = given if given is not None else {}
        if not isinstance(given, dict):
            given = {"input": given}
        for key, value in given.items():
            if key not in {"file", "column"}:
                name = question.wording.quote(str(key)[:40])
                question.ignored.append(
                    question.wording.say(
                        f"The input {name}: only file and column are understood.",
                        f"输入项{name}：只识别 file 与 column。",
                    )
                )
            elif value is not None and (not isinstance(value, str) or not value.strip()):
                raise AnalysisError(
                    question.wording.say(
                        f"The input {key} must be a name, not {value!r}.",
                        f"输入项 {key} 应为名称，而不是 {value!r}。",
                    )
                )
            elif value is not None:
                setattr(question, key, value.strip())
        question._column_text = question.text
        return question

    def choose_files(self, names: list[str]) -> list[str]:
        """Return those of the workspace's files that the task names, or all if it names none."""
        if self.file is not None:
            return self._given_file(self.file, names)
        chosen, rest = named_with_ending(self.text, names)
        for word in FILE_WORD.findall(rest):
            self._missing_files.append(file_in(word))
        self._column_text = FILE_WORD.sub("\x00", rest)
        if not chosen and not self._missing_files:
            chosen = named_by_stem(rest, names)
        self._found |= {name.casefold() for name in chosen} | {stem(name) for name in chosen}
        return chosen or names

    def _given_file(self, wanted: str, names: list[str]) -> list[str]:
        tests: tuple[Callable[[str], bool], ...] = (
            lambda name: name == wanted.removeprefix("./"),
            lambda name: name.casefold() == wanted.removeprefix("./").casefold(),
            lambda name: name.casefold().endswith("/" + wanted.casefold()),
            lambda name: stem(name) == wanted.casefold(),
        )
        for test in tests:
            chosen = [name for name in names if test(name)]
            if chosen:
                self._found |= {name.casefold() for name in chosen} | {stem(name) for name in chosen}
                return chosen
        w = self.wording
        raise AnalysisError(
            w.say(
                f"The input names the file {w.quote(wanted)}, which is not in the workspace. "
                f"It has: {w.list(names)}.",
                f"输入指定的文件{w.quote(wanted)}不在工作区中。现有文件：{w.list(names)}。",
            )
        )

    def named_columns(self, names: list[str]) -> list[str]:
        """Return the columns of one table that the task names, in the order of naming."""
        self._seen_columns |= dict.fromkeys(names)
        chosen: list[str] = []
        if self.column is not None:
            chosen = [name for name in names if plain(name) == plain(self.column)]
        in_quotes = {plain(text) for text in quoted(self._column_text)}
        text = plain(self._column_text)
        places: dict[str, int] = {}
        for name in sorted(names, key=len, reverse=True):  # the longest first: 销售额 before 销售
            form = plain(name)
            match = re.search(bounded(form), text) if len(form) > 1 or form in in_quotes else None
            if match:
                places[name] = match.start()
                text = text[: match.start()] + "\x00" * (match.end() - match.start()) + text[match.end() :]
        self._found |= {plain(name) for name in [*chosen, *places]}
        places |= self._by_synonym(names, text, places)
        return chosen + [name for name in sorted(places, key=places.__getitem__) if name not in chosen]

    def _by_synonym(self, names: list[str], text: str, places: dict[str, int]) -> dict[str, int]:
        found: dict[str, int] = {}
        for group in _SYNONYMS:
            matches = [(term, re.search(bounded(term), text)) for term in group]
            hits = [(term, match.start()) for term, match in matches if match]
            same = [name for name in names if any(plain(name).endswith(term) for term in group)]
            if hits and same and not any(name in places for name in same):
                found[same[0]] = hits[0][1]
                self._found |= {term for term, _ in hits}
        return found

    def wants(self, pattern: str, column: str, *, is_only: bool) -> bool:
        """Tell whether the text wishes for ``pattern`` (such as an average) of a column.

        Where the text names several measures, the wish must stand right beside the one it is for.
        """
        text, form = plain(self._column_text), bounded(plain(column))
        if is_only:
            return bool(re.search(pattern, text))
        between = r"(?:[\s的]|of|the){0,6}"
        return bool(re.search(f"(?:{pattern}){between}{form}|{form}{between}(?:{pattern})", text))

    def check_column(self) -> None:
        """Raise ``AnalysisError`` if ``input`` names a column that no analysed file has."""
        if self.column is None or plain(self.column) in self._found:
            return
        w = self.wording
        columns = w.list(self._seen_columns, 30)
        raise AnalysisError(
            w.say(
                f"The input names the column {w.quote(self.column)}, which no analysed file has. "
                f"The columns are: {columns}.",
                f"输入指定的列{w.quote(self.column)}在所分析的文件中不存在。现有的列：{columns}。",
            )
        )

    def left_out(self, files: list[str]) -> list[str]:
        """Say what of the task was not acted on, once all ``files`` have been read."""
        w = self.wording
        said = list(self.ignored)
        for name in dict.fromkeys(self._missing_files):
            said.append(
                w.say(
                    f"The file {w.quote(name)}: it is not in the workspace. There are: {w.list(files)}.",
                    f"文件{w.quote(name)}：工作区中没有。现有：{w.list(files)}。",
                )
            )
        columns = w.list(self._seen_columns, 30)
        for name in self._unmatched():
            said.append(
                w.say(
                    f"{w.quote(name)}: there is no such column or file. "
                    f"Columns: {columns}. Files: {w.list(files)}.",
                    f"{w.quote(name)}：没有这样的列或文件。现有的列：{columns}。现有文件：{w.list(files)}。",
                )
            )
        rest = plain(self._column_text)
        for name in sorted(self._found, key=len, reverse=True):  # a column called forecast is no forecast
            rest = re.sub(bounded(name), "\x00", rest)
        return said + wishes_beyond(rest, w)

    def _unmatched(self) -> list[str]:
        wanted = dict.fromkeys(quoted(self._column_text))
        for pattern in _GROUP_WORDS:
            words = [
                word for words in pattern.findall(self._column_text) for word in re.split("[和与及]", words)
            ]
            wanted |= dict.fromkeys(word for word in words if word and not _NO_COLUMN.match(word))
        return [
            word
            for word in wanted
            if "\x00" not in word
            and not is_beyond(f"by {word} 按{word}")
            and not self._is_matched(plain(word))
        ]

    def _is_matched(self, word: str) -> bool:
        return any(word in found or re.search(bounded(found), word) for found in self._found if found)
