"""The analysis from the first file to the last line of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.agents.data_analyst.csv_files import CsvFile, Skipped, find_csv_files
from executor.agents.data_analyst.errors import AnalysisError, UnusableFileError
from executor.agents.data_analyst.file_analysis import FileAnalysis
from executor.agents.data_analyst.markdown import plain
from executor.agents.data_analyst.options import Options
from executor.agents.data_analyst.output_folder import FOLDER, OutputFolder
from executor.agents.data_analyst.question import Question
from executor.agents.data_analyst.report import write_report
from executor.agents.data_analyst.stages import Stages
from executor.agents.data_analyst.summary import summary_json, summary_text

if TYPE_CHECKING:
    from executor.agents.data_analyst.context import Context
    from executor.agents.data_analyst.findings import Findings

_FINDING_PERCENT = 4.0
_FILES_PERCENT = 90.0


class Analysis:
    """One run of the data analyst."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._stages = Stages(ctx)
        self._question = Question.of(ctx.description, ctx.input)
        self._wording = self._question.wording
        self._options = Options.of(ctx.settings or {}, self._wording)
        self._output = OutputFolder(ctx.workspace.path, self._wording)
        self._skipped: list[Skipped] = []

    def run(self) -> dict[str, Any]:
        """Do all stages. See ``executor.agents.data_analyst.run`` for the result and the errors."""
        found, chosen = self._find_files()
        total = sum(file.size for file in chosen) or 1
        all_findings: list[Findings] = []
        done = _FINDING_PERCENT
        for number, file in enumerate(chosen, start=1):
            weight = _FILES_PERCENT * file.size / total
            all_findings += self._analyse(file, number, weight)
            done += weight
            self._stages.skip_to(done)
        if not all_findings:
            raise AnalysisError(self._nothing_usable())
        self._question.check_column()
        return self._report(all_findings, self._question.left_out([file.name for file in found]))

    # --- Files ----------------------------------------------------------------

    def _find_files(self) -> tuple[list[CsvFile], list[CsvFile]]:
        """Return all table files of the workspace, and those to analyse."""
        w = self._wording
        message = w.say("Looking for CSV files", "查找 CSV 文件")
        given = {"file": self._question.file, "description": self._ctx.description[:500]}
        with self._stages.stage("find_files", message, given, percent=_FINDING_PERCENT) as step:
            found, skipped = find_csv_files(self._ctx.workspace.path, w)
            for item in skipped:
                self._skip(item.name, item.reason)
            if not found:
                raise AnalysisError(self._no_files())
            wanted = self._question.choose_files([file.name for file in found])
            chosen = self._within_limits([file for file in found if file.name in wanted])
            step.output = {"found": [file.name for file in found], "chosen": [file.name for file in chosen]}
        return found, chosen

    def _within_limits(self, files: list[CsvFile]) -> list[CsvFile]:
        w, options = self._wording, self._options
        most = w.files(options.max_files)
        kept: list[CsvFile] = []
        for file in files:
            size = file.size / 1e6
            if size > options.max_file_mb:
                reason = w.say(
                    f"{file.name} has {size:,.1f} MB; the limit (max_file_mb) is {options.max_file_mb:g} MB. "
                    "Split it or raise the limit.",
                    f"{file.name} 大小为 {size:,.1f} MB，上限（max_file_mb）为 {options.max_file_mb:g} MB。"
                    "请拆分文件或提高上限。",
                )
                self._skip(file.name, reason)
            elif len(kept) == options.max_files:
                reason = w.say(
                    f"{file.name} is beyond the limit of {most} (max_files). Name it in the task.",
                    f"{file.name} 超出一次 {most}的上限（max_files）。请在任务中写明文件名。",
                )
                self._skip(file.name, reason)
            else:
                kept.append(file)
        if not kept:
            raise AnalysisError(self._nothing_usable())
        return kept

    def _analyse(self, file: CsvFile, number: int, percent: float) -> list[Findings]:
        """Return the findings of one file, or none if it cannot be used."""
        work = FileAnalysis(file, number, self._stages, self._question, self._options, self._output)
        try:
            return [work.run(percent)]
        except UnusableFileError as exc:
            self._skip(file.name, str(exc))
            return []

    def _skip(self, name: str, reason: str) -> None:
        self._skipped.append(Skipped(name, reason))
        self._ctx.log(self._wording.say(f"Left out: {reason}", f"未使用：{reason}"), level="warning")

    def _no_files(self) -> str:
        message = self._wording.say(
            "There is no CSV file in the workspace. Put a .csv, .tsv or delimited .txt file there "
            "and run the task again.",
            "工作区中没有 CSV 文件。请先放入 .csv、.tsv 或带分隔符的 .txt 文件，再重新运行任务。",
        )
        return self._wording.sentences([message, *self._reasons()])

    def _nothing_usable(self) -> str:
        start = [self._wording.say("No file can be analysed.", "没有可以分析的文件。")]
        return self._wording.sentences([*(start if len(self._skipped) > 1 else []), *self._reasons()])

    def _reasons(self) -> list[str]:
        return [item.reason for item in self._skipped[:10]]

    # --- Report ---------------------------------------------------------------

    def _report(self, all_findings: list[Findings], left_out: list[str]) -> dict[str, Any]:
        w = self._wording
        summary = summary_text(all_findings, self._skipped, w)
        message = w.say("Writing the report", "撰写报告")
        percent = 100.0 - _FINDING_PERCENT - _FILES_PERCENT
        with self._stages.stage("write_report", message, {}, percent=percent) as step:
            report = write_report(all_findings, self._skipped, left_out, summary, w)
            path = self._output.write("report.md", report)
            self._output.write("summary.json", summary_json(all_findings, self._skipped, left_out, w))
            stored = self._store(all_findings)
            step.output = {"written": stored}
        self._ctx.text(plain(summary, longest=2_000) + "\n")
        self._stages.finish(w.say("Done", "完成"))
        return {
            "summary": summary,
            "report": path,
            "rows": sum(findings.table.rows for findings in all_findings),
            "files": [
                {"file": findings.table.name, "rows": findings.table.rows, "columns": len(findings.columns)}
                for findings in all_findings
            ],
            "skipped": [{"file": item.name, "reason": item.reason} for item in self._skipped],
            "ignored": left_out,
            "artifacts": stored,
        }

    def _store(self, all_findings: list[Findings]) -> list[str]:
        """Keep durable copies, the report first: it is what people open. Return their paths."""
        w = self._wording
        titles = {
            f"{FOLDER}/report.md": w.say("Report", "分析报告"),
            f"{FOLDER}/summary.json": w.say("All numbers as JSON", "全部数字（JSON）"),
        }
        titles |= {
            f"{FOLDER}/{path}": title
            for findings in all_findings
            for path, title in findings.chart_titles.items()
        }
        for path, title in titles.items():
            self._ctx.artifact(path, title=title)
        return list(titles)
