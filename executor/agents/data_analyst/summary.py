"""The findings as JSON for programs, and as two or three sentences for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from executor.agents.data_analyst.drawing import fit
from executor.agents.data_analyst.measure_wording import in_unit, measure_phrase

if TYPE_CHECKING:
    from executor.agents.data_analyst.breakdown import Breakdown, Group
    from executor.agents.data_analyst.columns import Column
    from executor.agents.data_analyst.csv_files import Skipped
    from executor.agents.data_analyst.findings import Findings
    from executor.agents.data_analyst.outliers import Spread
    from executor.agents.data_analyst.trend import Trend
    from executor.agents.data_analyst.wording import Wording

_NAME_PIXELS = 240


def summary_json(
    all_findings: list[Findings], skipped: list[Skipped], left_out: list[str], wording: Wording
) -> str:
    """Return ``summary.json``: every number of the report, unrounded to six places, with stable keys."""
    document = {
        "language": wording.code,
        "rows": sum(findings.table.rows for findings in all_findings),
        "files": [_file(findings) for findings in all_findings],
        "skipped": [{"file": item.name, "reason": item.reason} for item in skipped],
        "ignored": left_out,
    }
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _file(findings: Findings) -> dict[str, Any]:
    table, quality = findings.table, findings.quality
    return {
        "file": table.name,
        "encoding": table.encoding,
        "delimiter": table.delimiter,
        "rows": table.rows,
        "columns": [_column(column) for column in findings.columns],
        "named_columns": findings.focus.named,
        "missing": {"cells": quality.missing_cells, "rows": quality.rows_with_missing},
        "duplicates": {
            "rows": quality.duplicate_rows,
            "examples": [{"row": row, "same_as": earlier} for row, earlier in quality.duplicates],
            "total_without_them": _round(findings.total_without_duplicates),
        },
        "repeated_keys": [
            {"column": key.column, "values": key.values, "example": key.example}
            for key in quality.repeated_keys
        ],
        "measure": {
            "column": findings.focus.lead.name,
            "how": findings.focus.lead.how,
            "unit": findings.focus.lead.unit,
            "total": _round(findings.lead_total),
        },
        "totals": [_breakdown(breakdown) for breakdown in findings.breakdowns],
        "trends": [_trend(trend) for trend in findings.trends],
        "outliers": [_spread(spread) for spread in findings.spreads],
        "charts": [f"analysis/{path}" for path in findings.charts.values()],
        "notes": table.notes,
    }


def _round(value: float | None) -> float | int | None:
    if value is None:
        return None
    return int(value) if value == int(value) and abs(value) < 1e15 else round(value, 6)


def _column(column: Column) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": column.name,
        "kind": column.kind.value,
        "missing": column.missing,
        "distinct": column.distinct,
        "unreadable": column.unreadable,
    }
    values = column.values.drop_nulls()
    if column.kind.value == "number" and values.len():
        facts |= {"unit": column.unit, "additive": column.additive}
        facts |= {"sum": _round(float(values.sum()))} if column.additive else {}
        facts |= {key: _round(float(getattr(values, key)())) for key in ("mean", "median", "min", "max")}
    elif column.kind.value == "date" and values.len():
        first, last = values.min(), values.max()
        facts |= {"first": first.isoformat(), "last": last.isoformat()}  # type: ignore[union-attr]
    return facts


def _breakdown(breakdown: Breakdown) -> dict[str, Any]:
    def one(group: Group) -> dict[str, Any]:
        named = zip(breakdown.measures, group.values, strict=True)
        return {
            "value": group.name,
            "rows": group.rows,
            "measures": {measure.name or "rows": _round(value) for measure, value in named},
            "share": _round(group.share),
        }

    return {
        "category": breakdown.category,
        "measures": [{"column": measure.name, "how": measure.how} for measure in breakdown.measures],
        "groups": [one(group) for group in breakdown.groups],
        "other": {"count": breakdown.rest_count, **one(breakdown.rest)} if breakdown.rest else None,
    }


def _trend(trend: Trend) -> dict[str, Any]:
    return {
        "date": trend.date,
        "measure": {"column": trend.measure.name, "how": trend.measure.how},
        "first_day": trend.first_day.isoformat(),
        "last_day": trend.last_day.isoformat(),
        "first_month_incomplete": trend.starts_late,
        "last_month_incomplete": trend.ends_early,
        "rows_without_date": trend.undated_rows,
        "months": [{"month": m.key, "rows": m.rows, "value": _round(m.value)} for m in trend.months],
    }


def _spread(spread: Spread) -> dict[str, Any]:
    return {
        "column": spread.column.name,
        "q1": _round(spread.q1),
        "median": _round(spread.median),
        "q3": _round(spread.q3),
        "low": _round(spread.low),
        "high": _round(spread.high),
        "count": spread.count,
        "examples": [
            {"row": far.row, "value": _round(far.value), "key": far.label} for far in spread.examples
        ],
    }


def summary_text(all_findings: list[Findings], skipped: list[Skipped], wording: Wording) -> str:
    """Return two or three plain sentences with the numbers that matter most."""
    # The file with the columns that the task names comes first, else the largest.
    lead = max(all_findings, key=lambda findings: (len(findings.focus.named), findings.table.rows))
    parts = [_what(lead, all_findings, wording), _most(lead, wording), _care(all_findings, skipped, wording)]
    return wording.sentences(part for part in parts if part)


def _what(lead: Findings, all_findings: list[Findings], wording: Wording) -> str:
    files, own = wording.files(len(all_findings)), wording.rows(lead.table.rows)
    rows = sum(findings.table.rows for findings in all_findings)
    name = fit(lead.table.name, _NAME_PIXELS)
    measure, total = lead.focus.lead, lead.lead_total
    phrase, value = fit(measure_phrase(measure, wording), _NAME_PIXELS), in_unit(total, measure, wording)
    if len(all_findings) > 1:
        start = wording.say(
            f"{files} with {wording.rows(rows)} in all. {name} has {own}",
            f"共 {files}、{wording.rows(rows)}；其中 {name} 有 {own}",
        )
    else:
        start = wording.say(f"{name} has {own}", f"{name} 共 {own}")
    if measure.column is None:
        return start + wording.say(".", "。")
    return start + wording.say(f"; {phrase} is {value}.", f"，{phrase} {value}。")


def _most(findings: Findings, wording: Wording) -> str:
    """The leading category and the peak month, as far as there are any."""
    parts = []
    breakdown = next(iter(findings.breakdowns), None)
    if breakdown and len(breakdown.groups) > 1 and breakdown.groups[0].values[0] is not None:
        top = breakdown.groups[0]
        name = wording.missing() if top.name is None else fit(top.name, _NAME_PIXELS)
        amount = in_unit(top.values[0], breakdown.measures[0], wording)
        share = ""
        if top.share is not None:
            share = wording.say(f", {wording.percent(top.share)}", f"，占 {wording.percent(top.share)}")
        category = fit(breakdown.category, _NAME_PIXELS)
        parts.append(
            wording.say(
                f"by {category}, {name} leads ({amount}{share})",
                f"{category}中最高的是{name}（{amount}{share}）",
            )
        )
    trend = next(iter(findings.trends), None)
    if trend and trend.peak and len(trend.whole) > 1:
        amount = in_unit(trend.peak.value, trend.measure, wording)
        parts.append(
            wording.say(
                f"the peak month is {trend.peak.key} ({amount})", f"最高的月份是 {trend.peak.key}（{amount}）"
            )
        )
    if not parts:
        return ""
    text = wording.say(" and ", "，").join(parts)
    return text[0].upper() + text[1:] + wording.say(".", "。")


def _care(all_findings: list[Findings], skipped: list[Skipped], wording: Wording) -> str:
    """What to be careful about."""
    missing = sum(findings.quality.missing_cells for findings in all_findings)
    duplicates = sum(findings.quality.duplicate_rows for findings in all_findings)
    outliers = sum(findings.outliers for findings in all_findings)
    text = wording.say(
        f"Mind {wording.cells(missing)} missing, {wording.rows(duplicates)} repeated and "
        f"{outliers:,} outlying value{'' if outliers == 1 else 's'}",
        f"请留意：缺失 {wording.cells(missing)}，重复 {wording.rows(duplicates)}，异常值 {outliers:,} 个",
    )
    if not missing + duplicates + outliers:
        text = wording.say(
            "No cell is missing, no row repeats, no value is far out", "没有缺失、重复或异常值"
        )
    if skipped:
        text += wording.say(
            f"; {wording.files(len(skipped))} could not be used",
            f"；另有 {wording.files(len(skipped))}无法使用",
        )
    return text + wording.say(".", "。")
