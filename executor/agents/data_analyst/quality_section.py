"""The part of the report about a file's quality and its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from executor.agents.data_analyst.columns import Column, Kind
from executor.agents.data_analyst.markdown import bullets, plain, table
from executor.agents.data_analyst.measure_wording import in_unit, measure_title, with_unit

if TYPE_CHECKING:
    from executor.agents.data_analyst.findings import Findings
    from executor.agents.data_analyst.wording import Wording

_MOST_COLUMNS = 60
_MOST_NOTES = 30
#: What a kind of column is called in the report.
KINDS = {
    Kind.NUMBER: ("number", "数值"),
    Kind.DATE: ("date", "日期"),
    Kind.BOOLEAN: ("yes/no", "是/否"),
    Kind.CATEGORY: ("category", "类别"),
    Kind.TEXT: ("text", "文本"),
    Kind.IDENTIFIER: ("identifier", "标识"),
    Kind.EMPTY: ("empty", "空列"),
}


class QualitySection:
    """Writes how complete and how clean one file is."""

    def __init__(self, findings: Findings, wording: Wording) -> None:
        self._findings, self._wording = findings, wording

    def bullets(self) -> str:
        """Return what is missing, what repeats, what could not be read, and what was odd, as a list."""
        w, findings = self._wording, self._findings
        quality = findings.quality
        missing, rows = w.cells(quality.missing_cells), w.rows(quality.rows_with_missing)
        share = w.percent(quality.missing_cells / max(quality.cells, 1))
        lines = [
            w.say(
                f"Missing: {missing} ({share}), in {rows}.",
                f"缺失：{missing}（{share}），涉及 {rows}。",
            ),
            self._duplicates(),
        ]
        for key in quality.repeated_keys:
            name = w.quote(key.column)
            lines.append(
                w.say(
                    f"{name} should be unique, but {key.values:,} of its values occur in rows that differ "
                    f"(such as {key.example}).",
                    f"{name}本应唯一，但有 {key.values:,} 个值出现在内容不同的行中（如 {key.example}）。",
                )
            )
        for column in findings.columns:
            if column.unreadable:
                examples = w.list(w.quote(example[:40]) for example in column.examples)
                name, cells, kind = (
                    w.quote(column.name),
                    w.cells(column.unreadable),
                    w.say(*KINDS[column.kind]),
                )
                lines.append(
                    w.say(
                        f"{name}: {cells} could not be read as {kind}: {examples}.",
                        f"{name}：{cells}无法读作{kind}：{examples}。",
                    )
                )
        lines += findings.table.notes
        hidden = len(lines) - _MOST_NOTES
        if hidden > 0:
            lines = [
                *lines[:_MOST_NOTES],
                w.say(f"{hidden} more notes are not shown.", f"另有 {hidden} 条说明未显示。"),
            ]
        return bullets(lines)

    def _duplicates(self) -> str:
        w, findings = self._wording, self._findings
        quality, measure = findings.quality, findings.focus.lead
        if not quality.duplicate_rows:
            return w.say("Repeated rows: none.", "重复行：无。")
        text = w.say(
            f"Repeated rows: {quality.duplicate_rows:,}, each equal to an earlier row in every cell; "
            "they are counted in all totals.",
            f"重复行：{quality.duplicate_rows:,} 行与前面某行完全相同，所有合计均包含它们。",
        )
        if findings.total_without_duplicates is not None:
            amount = in_unit(findings.total_without_duplicates, measure, w)
            text += w.say(
                f" Without them, {measure_title(measure, w)} is {amount}.",
                f"去掉后，{measure_title(measure, w)}为 {amount}。",
            )
        pairs = [
            w.say(f"row {row:,} = row {earlier:,}", f"第 {row:,} 行 = 第 {earlier:,} 行")
            for row, earlier in quality.duplicates
        ]
        return text + w.say(f" Examples: {w.list(pairs)}.", f"例如：{w.list(pairs)}。")

    def columns(self) -> list[str]:
        """Return the table of all columns, and a line if it is cut."""
        w, columns = self._wording, self._findings.columns
        head = [
            w.say("Column", "列"),
            w.say("Kind", "类型"),
            w.say("Missing", "缺失"),
            w.say("Distinct", "不同值"),
            w.say("Range", "范围"),
        ]
        rows = [
            [
                plain(column.name),
                w.say(*KINDS[column.kind]),
                f"{column.missing:,}"
                + (f" ({w.percent(column.missing / column.values.len())})" if column.missing else ""),
                f"{column.distinct:,}",
                plain(_range(column, w)),
            ]
            for column in columns[:_MOST_COLUMNS]
        ]
        hidden = len(columns) - len(rows)
        more = (
            w.say(
                f"{w.columns(hidden)} more are in summary.json.", f"另有 {w.columns(hidden)}见 summary.json。"
            )
            if hidden > 0
            else ""
        )
        return [table(head, rows, numbers_from=2), more]


def _range(column: Column, wording: Wording) -> str:
    values = column.values.drop_nulls()
    if not values.len() or column.kind not in {Kind.NUMBER, Kind.DATE}:
        return "–"
    if column.kind is Kind.DATE:
        return " – ".join(values.sort().dt.strftime("%Y-%m-%d").gather([0, -1]))
    low, high = float(values.min()), float(values.max())  # type: ignore[arg-type]
    places = 0 if column.is_whole else 2
    return f"{with_unit(low, column.unit, wording, places)} – {with_unit(high, column.unit, wording, places)}"
