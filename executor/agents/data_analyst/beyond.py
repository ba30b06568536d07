"""What people ask of an analyst that this one does not do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from executor.agents.data_analyst.wording import Wording

#: Wishes beyond this agent: what shows them, and the answer.
_BEYOND: tuple[tuple[str, str, str], ...] = (
    (
        r"预测|预估|forecast|predict|projection",
        "Forecasting: the report shows the past only.",
        "预测：报告只呈现已有数据，不作预测。",
    ),
    (
        r"发邮件|发送|邮件|email|e-mail|\bsend\b|通知",
        "Sending: the report stays in the workspace.",
        "发送：报告只保存在工作区中，不对外发送。",
    ),
    (
        r"合并|关联|联表|\bjoin\b|\bmerge\b",
        "Joining files: each file was analysed by itself.",
        "合并或关联：各文件分别分析。",
    ),
    (
        r"清洗|去重|修正|修改|填充|删除|\bclean(?:ing|ed)?\b|dedup|remove duplicates|\bfix\b|\bdelete\b",
        "Changing the data: files are read only; duplicates and gaps are reported, not repaired.",
        "改动数据：文件只读，重复与缺失只报告、不修补。",
    ),
    (
        r"只看|仅看|只要|仅限|筛选|过滤"
        r"|\bonly (?:for|rows|in|with|include)\b|\brows where\b|\bfilter\b|\bexclud\w+",
        "Choosing rows: totals cover all rows.",
        "筛选行：合计包含所有行。",
    ),
    (
        r"饼图|散点图|热力图|雷达图|pie chart|scatter|heat ?map",
        "Other kinds of charts: bars, lines and histograms are drawn.",
        "其他图形：只绘制条形图、折线图和直方图。",
    ),
    (
        r"excel|xlsx|\bpdf\b|ppt|powerpoint|word 文档|\bdocx?\b",
        "Other formats: the report is Markdown, JSON and SVG.",
        "其他格式：报告为 Markdown、JSON 和 SVG。",
    ),
    (
        r"相关性|相关系数|回归|聚类|显著性|correlat\w+|regression|cluster\w*|significan\w+",
        "Statistical models: none are fitted.",
        "统计建模：未做相关、回归或聚类。",
    ),
    (
        r"按[日天周季年]|每[日天周季年]|季度"
        r"|daily|weekly|quarterly|yearly|\b(?:by|per) (?:day|week|quarter|year)",
        "Other periods: the trend is by month.",
        "其他周期：趋势按月统计。",
    ),
)


def is_beyond(text: str) -> bool:
    """Tell whether a text asks for anything that the analyst does not do."""
    return any(re.search(pattern, text, re.IGNORECASE) for pattern, _, _ in _BEYOND)


def wishes_beyond(text: str, wording: Wording) -> list[str]:
    """Answer each wish in a text that the analyst does not fulfil."""
    return [
        wording.say(english, chinese)
        for pattern, english, chinese in _BEYOND
        if re.search(pattern, text, re.IGNORECASE)
    ]
