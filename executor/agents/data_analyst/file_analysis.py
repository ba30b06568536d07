"""The analysis of one file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from executor.agents.data_analyst.bar_chart import bar_chart
from executor.agents.data_analyst.breakdown import break_down
from executor.agents.data_analyst.columns import Column, Kind, read_columns
from executor.agents.data_analyst.csv_table import CsvTable, delimiter_name, read_table
from executor.agents.data_analyst.findings import Findings
from executor.agents.data_analyst.focus import Focus, choose_focus
from executor.agents.data_analyst.histogram import histogram
from executor.agents.data_analyst.line_chart import line_chart
from executor.agents.data_analyst.measure_wording import measure_title
from executor.agents.data_analyst.outliers import find_outliers
from executor.agents.data_analyst.quality import check_quality, is_duplicate
from executor.agents.data_analyst.trend import trend_by_month

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import polars as pl

    from executor.agents.data_analyst.context import Step
    from executor.agents.data_analyst.csv_files import CsvFile
    from executor.agents.data_analyst.options import Options
    from executor.agents.data_analyst.output_folder import OutputFolder
    from executor.agents.data_analyst.question import Question
    from executor.agents.data_analyst.stages import Stages

#: The stages of a file, what people read meanwhile, and the usual share of the time.
_STAGES = {
    "read_csv": ("Reading", "读取", 0.40),
    "detect_types": ("Finding the types of columns in", "识别列类型", 0.30),
    "check_quality": ("Looking for missing and repeated rows in", "检查缺失与重复", 0.10),
    "total_by_category": ("Totalling", "按类别汇总", 0.07),
    "trend_by_month": ("Following the months in", "统计月度趋势", 0.05),
    "find_outliers": ("Looking for outliers in", "查找异常值", 0.06),
    "draw_charts": ("Drawing charts of", "绘制图表", 0.02),
}
_MOST_TRENDS = 2
_MOST_SPREADS = 3


class FileAnalysis:
    """Takes one file through its stages."""

    def __init__(
        self,
        file: CsvFile,
        number: int,
        stages: Stages,
        question: Question,
        options: Options,
        output: OutputFolder,
    ) -> None:
        self._file, self._number = file, number
        self._stages, self._question, self._wording = stages, question, question.wording
        self._options, self._output = options, output
        self._percent = 0.0

    def run(self, percent: float) -> Findings:
        """Do all stages, together worth ``percent`` of the task.

        Raises ``UnusableFileError`` if the file is no table.
        """
        self._percent = percent
        table = self._read()
        columns, focus = self._detect(table)
        findings = self._check(table, columns, focus)
        self._total(findings)
        self._follow(findings)
        self._spread(findings)
        self._draw(findings)
        return findings

    def _stage(self, name: str, **given: Any) -> AbstractContextManager[Step]:
        english, chinese, share = _STAGES[name]
        message = self._wording.say(f"{english} {self._file.name}", f"{chinese}：{self._file.name}")
        return self._stages.stage(
            name, message, {"file": self._file.name, **given}, percent=self._percent * share
        )

    def _read(self) -> CsvTable:
        with self._stage("read_csv", bytes=self._file.size) as step:
            table = read_table(self._file.path, self._file.name, self._wording)
            delimiter = delimiter_name(table.delimiter, self._wording)
            step.output = {
                "rows": table.rows,
                "encoding": table.encoding,
                "delimiter": delimiter,
                "notes": table.notes,
            }
        return table

    def _detect(self, table: CsvTable) -> tuple[list[Column], Focus]:
        with self._stage("detect_types", columns=len(table.names)) as step:
            columns = read_columns(table, self._wording)
            focus = choose_focus(columns, self._question)
            step.output = {
                "kinds": {column.name: column.kind.value for column in columns[:60]},
                "named": focus.named,
                "measure": focus.lead.name,
            }
        return columns, focus

    def _check(self, table: CsvTable, columns: list[Column], focus: Focus) -> Findings:
        with self._stage("check_quality") as step:
            duplicate = is_duplicate(table)
            quality = check_quality(table, columns, duplicate)
            findings = Findings(table, columns, focus, quality)
            if quality.duplicate_rows and focus.lead.column is not None and focus.lead.how == "sum":
                findings.total_without_duplicates = _sum(focus.lead.column.values.filter(~duplicate))
            step.output = {"missing_cells": quality.missing_cells, "duplicate_rows": quality.duplicate_rows}
        return findings

    def _total(self, findings: Findings) -> None:
        focus = findings.focus
        names = [column.name for column in focus.categories]
        with self._stage("total_by_category", categories=names) as step:
            most = self._options.max_categories
            findings.breakdowns = [break_down(column, focus.measures, most) for column in focus.categories]
            step.output = {
                "measures": [measure.name or "rows" for measure in focus.measures],
                "tables": len(names),
            }

    def _follow(self, findings: Findings) -> None:
        date, named = findings.focus.date, findings.focus.named
        with self._stage("trend_by_month", date=date.name if date else None) as step:
            measures = [m for i, m in enumerate(findings.focus.measures) if i == 0 or m.name in named][
                :_MOST_TRENDS
            ]
            trends = [trend_by_month(date, measure) for measure in measures] if date else []
            findings.trends = [trend for trend in trends if trend]
            step.output = {"months": len(findings.trends[0].months) if findings.trends else 0}

    def _spread(self, findings: Findings) -> None:
        with self._stage("find_outliers", iqr=self._options.outlier_iqr) as step:
            lead = [measure.column for measure in findings.focus.measures if measure.column]
            others = [c for c in findings.columns if c.kind is Kind.NUMBER and c not in lead]
            spreads = [
                find_outliers(findings.table, column, findings.columns, self._options.outlier_iqr)
                for column in (lead + others)[: max(_MOST_SPREADS, len(lead))]
            ]
            findings.spreads = [spread for spread in spreads if spread]
            step.output = {spread.column.name: spread.count for spread in findings.spreads}

    def _draw(self, findings: Findings) -> None:
        with self._stage("draw_charts") as step:
            name, w = self._file.name, self._wording
            for i, breakdown in enumerate(findings.breakdowns, start=1):
                title = w.say(f"Totals by {breakdown.category}", f"按{breakdown.category}汇总")
                self._keep(findings, "totals", breakdown.category, i, title, bar_chart(breakdown, name, w))
            for i, trend in enumerate(findings.trends, start=1):
                title = w.say(
                    f"{measure_title(trend.measure, w)} by month",
                    f"{measure_title(trend.measure, w)}的月度趋势",
                )
                if len(trend.months) > 1:
                    self._keep(
                        findings, "trend", trend.measure.name or "", i, title, line_chart(trend, name, w)
                    )
            for i, spread in enumerate((s for s in findings.spreads if s.count), start=1):
                title = w.say(f"Distribution of {spread.column.name}", f"{spread.column.name}的分布")
                self._keep(findings, "spread", spread.column.name, i, title, histogram(spread, name, w))
            step.output = {"charts": list(findings.charts.values())}

    def _keep(self, findings: Findings, kind: str, name: str, place: int, title: str, svg: str) -> None:
        """Write a chart under a name of letters and digits only, unlike any other file's."""
        stem = re.sub(r"[^\w\u3400-\u9fff]+", "-", self._file.name.rsplit("/", 1)[-1].rsplit(".", 1)[0])[
            :40
        ].strip("-")
        path = f"charts/{self._number}-{stem or 'table'}-{kind}-{place}.svg"
        self._output.write(path, svg)
        findings.charts[kind, name] = path
        findings.chart_titles[path] = title


def _sum(values: pl.Series) -> float:
    return float(values.sum() or 0.0)
