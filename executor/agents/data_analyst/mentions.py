"""Names of files and columns in a text that people wrote."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ENDING = r"\.(?:csv|tsv|txt|xlsx?|json|parquet)"
FILE_WORD = re.compile(
    rf"[^\s\x00\"'“”‘’「」『』《》`<>|*?,，。;；:：()（）、]{{1,120}}?{_ENDING}(?![A-Za-z0-9])", re.IGNORECASE
)
_OPENING_VERBS = re.compile(
    r"^(?:请|帮我|帮忙|麻烦|分析|看看|看一下|统计|汇总|读取|打开|使用|用|对|把|将|一下|文件|根据|按照|和|与|及)+"
)
_QUOTED = re.compile(
    r"“([^”]{1,80})”|「([^」]{1,80})」|『([^』]{1,80})』|《([^》]{1,80})》"
    r"|\"([^\"]{1,80})\"|`([^`]{1,80})`|(?<!\w)'([^']{1,80})'(?!\w)"
)
_GENERIC_STEMS = {"data", "report", "table", "file", "csv", "test", "数据", "表格", "文件", "报告", "分析"}


def quoted(text: str) -> list[str]:
    """Return what stands in quotes of any kind."""
    return [next(part for part in groups if part).strip() for groups in _QUOTED.findall(text)]


def plain(text: str) -> str:
    """Bring names that mean the same to one form: ``Unit_Price`` and ``unit price``."""
    return re.sub(r"[_\s]+", " ", text).strip().casefold()


def bounded(name: str) -> str:
    """Return a pattern that finds a plain name.

    A Latin name must stand alone, a plural is fine; a Chinese one need not, as nothing parts Chinese words.
    """
    before = r"(?<![a-z0-9])" if re.match(r"[a-z0-9]", name) else ""
    after = r"(?:e?s)?(?![a-z0-9])" if re.search(r"[a-z0-9]$", name) else ""
    return before + re.escape(name) + after


def stem(name: str) -> str:
    """Return a file's name without folder and ending, in small letters."""
    return name.rsplit("/", 1)[-1].rsplit(".", 1)[0].casefold()


def named_with_ending(text: str, names: Iterable[str]) -> tuple[list[str], str]:
    """Return the files whose path or name is in the text, and the text without them."""
    rest = text
    chosen: list[str] = []
    names = list(names)
    for form in sorted({*names, *(name.rsplit("/", 1)[-1] for name in names)}, key=len, reverse=True):
        before = r"(?<![A-Za-z0-9_.\-/])" if re.match(r"[A-Za-z0-9_]", form) else ""
        pattern = re.compile(before + re.escape(form) + r"(?![A-Za-z0-9])", re.IGNORECASE)
        if pattern.search(rest):
            rest = pattern.sub("\x00", rest)
            chosen += [name for name in names if name == form or name.endswith("/" + form)]
    return [name for name in names if name in chosen], rest


def named_by_stem(text: str, names: Iterable[str]) -> list[str]:
    """Return the files whose name without its ending is in the text, except names such as ``data``."""
    text = text.casefold()
    return [
        name
        for name in names
        if len(stem(name)) > 1 and stem(name) not in _GENERIC_STEMS and re.search(bounded(stem(name)), text)
    ]


def file_in(word: str) -> str:
    """Cut a Chinese sentence's beginning off a file name: 请分析orders.csv names orders.csv."""
    latin = re.search(rf"[A-Za-z0-9_\-./]+{_ENDING}$", word, re.IGNORECASE)
    return latin.group() if latin else _OPENING_VERBS.sub("", word) or word
