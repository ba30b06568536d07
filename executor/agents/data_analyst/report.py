"""The report: what an analyst would tell, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from executor.agents.data_analyst.file_section import FileSection
from executor.agents.data_analyst.markdown import bullets, plain

if TYPE_CHECKING:
    from executor.agents.data_analyst.csv_files import Skipped
    from executor.agents.data_analyst.findings import Findings
    from executor.agents.data_analyst.wording import Wording


def write_report(
    all_findings: list[Findings], skipped: list[Skipped], left_out: list[str], summary: str, wording: Wording
) -> str:
    """Return the whole report. Everything that comes from files or from the task is made plain."""
    name = all_findings[0].table.name if len(all_findings) == 1 else wording.files(len(all_findings))
    parts = [
        wording.say(f"# Data analysis: {plain(name)}", f"# 数据分析：{plain(name)}"),
        plain(summary, longest=2_000),
    ]
    if left_out:
        parts += [wording.say("## What I did not use", "## 未采用的要求"), bullets(left_out)]
    for findings in all_findings:
        parts += FileSection(findings, wording, is_only=len(all_findings) == 1).parts()
    if skipped:
        parts += [
            wording.say("## Files left out", "## 未使用的文件"),
            bullets(item.reason for item in skipped),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"
