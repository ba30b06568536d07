"""The part of the report about one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from executor.agents.data_analyst.csv_table import delimiter_name
from executor.agents.data_analyst.markdown import bullets, image, plain, table
from executor.agents.data_analyst.measure_wording import in_unit, measure_title, with_unit
from executor.agents.data_analyst.quality_section import KINDS, QualitySection
from executor.agents.data_analyst.trend import growth

if TYPE_CHECKING:
    from executor.agents.data_analyst.breakdown import Breakdown, Group
    from executor.agents.data_analyst.findings import Findings
    from executor.agents.data_analyst.outliers import Spread
    from executor.agents.data_analyst.trend import Trend
    from executor.agents.data_analyst.wording import Wording

_MOST_MONTHS = 36


class FileSection:
    """Writes the part of the report about one file."""

    def __init__(self, findings: Findings, wording: Wording, *, is_only: bool) -> None:
        self._findings, self._wording, self._is_only = findings, wording, is_only

    def parts(self) -> list[str]:
        """Return headings, paragraphs, tables and images, in reading order."""
        findings = self._findings
        parts = [] if self._is_only else [f"## {plain(findings.table.name)}"]
        parts += [self._heading("Overview", "概况"), self._overview()]
        for breakdown in findings.breakdowns:
            parts += self._breakdown(breakdown)
        for trend in findings.trends:
            parts += self._trend(trend)
        quality = QualitySection(findings, self._wording)
        return [
            *parts,
            *self._outliers(),
            self._heading("Data quality", "数据质量"),
            quality.bullets(),
            self._heading("Columns", "各列概况"),
            *quality.columns(),
        ]

    def _heading(self, english: str, chinese: str) -> str:
        return ("## " if self._is_only else "### ") + self._wording.say(english, chinese)

    def _overview(self) -> str:
        w, findings = self._wording, self._findings
        table_, focus = findings.table, findings.focus
        delimiter = delimiter_name(table_.delimiter, w)
        size = w.list([w.rows(table_.rows), w.columns(len(findings.columns))])
        lines = [
            w.say(
                f"{size} ({table_.encoding}, delimiter: {delimiter})",
                f"{size}（{table_.encoding}，分隔符：{delimiter}）",
            )
        ]
        if focus.named:
            named = w.list(w.quote(name) for name in focus.named)
            lines.append(
                w.say(f"Named in the task, and put first: {named}", f"任务中提到、优先分析的列：{named}")
            )
        for column in focus.unsuited:
            kind = w.say(*KINDS[column.kind])
            lines.append(
                w.say(
                    f"{w.quote(column.name)} was named, but it is {kind} and cannot be totalled.",
                    f"任务提到的{w.quote(column.name)}属于{kind}列，无法汇总。",
                )
            )
        for measure in focus.measures:
            if measure.column is None:
                continue
            values = measure.column.values
            total = values.mean() if measure.how == "mean" else values.sum()
            amount = in_unit(float(total or 0.0), measure, w)  # type: ignore[arg-type]
            lines.append(
                w.say(f"{measure_title(measure, w)}: {amount}", f"{measure_title(measure, w)}：{amount}")
            )
        return bullets(lines)

    def _chart(self, kind: str, name: str, text: str) -> str:
        path = self._findings.charts.get((kind, name))
        return image(text, path) if path else ""

    # --- Totals ---------------------------------------------------------------

    def _breakdown(self, breakdown: Breakdown) -> list[str]:
        w = self._wording
        category = plain(breakdown.category)
        head = [
            category,
            w.say("Rows", "行数"),
            *(plain(measure_title(m, w)) for m in breakdown.measures if m.column),
        ]
        has_shares = any(group.share is not None for group in breakdown.groups)
        if has_shares:
            head.insert(_share_place(breakdown), w.say("Share", "占比"))
        rows = [self._group_row(g, g.name, breakdown, has_shares) for g in breakdown.groups]
        if breakdown.rest:
            rows.append(self._group_row(breakdown.rest, w.other(breakdown.rest_count), breakdown, has_shares))
        rows.append(self._group_row(breakdown.total, w.say("All", "全部"), breakdown, has_shares))
        return [
            self._heading(f"By {category}", f"按{category}"),
            self._chart("totals", breakdown.category, breakdown.category),
            table(head, rows),
        ]

    def _group_row(self, group: Group, name: str | None, breakdown: Breakdown, has_shares: bool) -> list[str]:
        w = self._wording
        cells = [plain(w.missing() if name is None else name), f"{group.rows:,}"]
        for measure, value in zip(breakdown.measures, group.values, strict=True):
            if measure.column:
                cells.append(plain(in_unit(value, measure, w)))
        if has_shares:
            share = 1.0 if group is breakdown.total else group.share
            cells.insert(_share_place(breakdown), "–" if share is None else w.percent(share))
        return cells

    # --- Trend ----------------------------------------------------------------

    def _trend(self, trend: Trend) -> list[str]:
        w = self._wording
        title = plain(measure_title(trend.measure, w))
        shown = trend.months[-_MOST_MONTHS:]
        rows = []
        for month in shown:
            earlier = trend.months[max(trend.months.index(month) - 1, 0)]
            is_comparable = month is not earlier and month in trend.whole and earlier in trend.whole
            share = growth(earlier, month) if is_comparable else None
            change = "–" if share is None else w.percent(share, signed=True)
            key = month.key if month in trend.whole else f"{month.key} \\*"
            rows.append([key, f"{month.rows:,}", plain(in_unit(month.value, trend.measure, w)), change])
        head = [w.say("Month", "月份"), w.say("Rows", "行数"), title, w.say("Change", "环比")]
        return [
            self._heading(f"{title} by month", f"{title}：月度趋势"),
            self._chart("trend", trend.measure.name or "", title),
            self._trend_sentences(trend),
            table(head, rows),
            self._trend_footnotes(trend, len(trend.months) - len(shown)),
        ]

    def _trend_sentences(self, trend: Trend) -> str:
        w = self._wording
        parts = []
        peak, low, month, year = trend.peak, trend.low, trend.change(1), trend.change(12)
        if peak and low and peak is not low:
            high_value, low_value = (
                in_unit(peak.value, trend.measure, w),
                in_unit(low.value, trend.measure, w),
            )
            parts.append(
                w.say(
                    f"Highest in {peak.key} ({high_value}), lowest in {low.key} ({low_value}).",
                    f"{peak.key} 最高（{high_value}），{low.key} 最低（{low_value}）。",
                )
            )
        if month is not None:
            last = trend.whole[-1].key
            on_year = (
                ""
                if year is None
                else w.say(
                    f", {w.percent(year, signed=True)} on the year", f"，同比 {w.percent(year, signed=True)}"
                )
            )
            parts.append(
                w.say(
                    f"{last}: {w.percent(month, signed=True)} on the month before{on_year}.",
                    f"{last} 环比 {w.percent(month, signed=True)}{on_year}。",
                )
            )
        return plain(w.sentences(parts), longest=400)

    def _trend_footnotes(self, trend: Trend, hidden: int) -> str:
        w = self._wording
        notes = []
        if trend.starts_late or trend.ends_early:
            span = f"{trend.first_day:%Y-%m-%d} – {trend.last_day:%Y-%m-%d}"
            notes.append(
                w.say(f"* incomplete month; the data cover {span}.", f"* 该月数据不完整；数据范围为 {span}。")
            )
        if hidden:
            notes.append(
                w.say(
                    f"{w.months(hidden)} before these are in summary.json.",
                    f"更早的 {w.months(hidden)}见 summary.json。",
                )
            )
        if trend.undated_rows:
            undated = w.rows(trend.undated_rows)
            notes.append(
                w.say(
                    f"{undated} without a date in {w.quote(trend.date)} are not in the trend.",
                    f"{w.quote(trend.date)}为空的 {undated}未计入趋势。",
                )
            )
        return bullets(notes)

    # --- Outliers -------------------------------------------------------------

    def _outliers(self) -> list[str]:
        w, spreads = self._wording, self._findings.spreads
        if not spreads:
            return []
        parts = [self._heading("Outliers", "异常值")]
        for spread in spreads:
            parts.append(plain(self._outlier_sentence(spread), longest=300))
            if not spread.count:
                continue
            parts.append(self._chart("spread", spread.column.name, spread.column.name))
            parts.append(self._far_table(spread))
            left = spread.count - len(spread.examples)
            if left:
                parts.append(
                    w.say(
                        f"The farthest ones; {left:,} more are not listed.",
                        f"仅列偏离最大的，另有 {left:,} 个未列出。",
                    )
                )
        return parts

    def _outlier_sentence(self, spread: Spread) -> str:
        w, name = self._wording, self._wording.quote(spread.column.name)
        low, high = (with_unit(value, spread.column.unit, w) for value in (spread.low, spread.high))
        if not spread.count:
            return w.say(f"{name}: no value is far from the rest.", f"{name}：没有偏离其余数据的值。")
        found = []
        if spread.below:
            found.append(w.say(f"{spread.below:,} below {low}", f"{spread.below:,} 个值低于 {low}"))
        if spread.above:
            found.append(w.say(f"{spread.above:,} above {high}", f"{spread.above:,} 个值高于 {high}"))
        return f"{name}{w.say(': ', '：')}{w.list(found)}{w.say('.', '。')}"

    def _far_table(self, spread: Spread) -> str:
        w = self._wording
        head = [w.say("Key", "标识"), w.say("Row", "行号"), plain(spread.column.name)]
        places = 0 if spread.column.is_whole else 2
        rows = [
            [
                plain(far.label or "–"),
                f"{far.row:,}",
                plain(with_unit(far.value, spread.column.unit, w, places)),
            ]
            for far in spread.examples
        ]
        if any(far.label for far in spread.examples):
            return table(head, rows)
        return table(head[1:], [row[1:] for row in rows], numbers_from=0)


def _share_place(breakdown: Breakdown) -> int:
    """Shares stand right after the measure that they are shares of."""
    return 2 if breakdown.measures[0].column is None else 3
