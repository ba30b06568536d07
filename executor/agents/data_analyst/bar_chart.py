"""The bar chart of totals by category."""

from __future__ import annotations

from typing import TYPE_CHECKING

from executor.agents.data_analyst.drawing import MARGIN, TOP, WIDTH, Canvas, fit, text_width
from executor.agents.data_analyst.measure_wording import in_unit, measure_title, short_in_unit

if TYPE_CHECKING:
    from executor.agents.data_analyst.breakdown import Breakdown, Group
    from executor.agents.data_analyst.wording import Wording

_MOST_BARS = 12
_MOST_LOSSES = 4
_PITCH = 34
_THICKNESS = 20
_WIDEST_LABEL = 210


def bar_chart(breakdown: Breakdown, file: str, wording: Wording) -> str:
    """Draw the first measure of a breakdown as horizontal bars, the greatest on top."""
    groups = _shown([group for group in breakdown.groups if group.values[0] is not None])
    measure = breakdown.measures[0]
    names = [wording.missing() if group.name is None else group.name for group in groups]
    hidden = len(breakdown.groups) + breakdown.rest_count - len(groups)
    title = wording.say(
        f"{measure_title(measure, wording)} by {breakdown.category}",
        f"各{breakdown.category}的{measure_title(measure, wording)}",
    )
    subtitle = file
    if hidden:
        subtitle += wording.say(f" · {hidden:,} more not shown", f" · 另有 {hidden:,} 项未显示")
    description = "; ".join(
        f"{name}: {in_unit(group.values[0] or 0, measure, wording)}"
        for name, group in zip(names, groups, strict=True)
    )
    canvas = Canvas(title, subtitle, description, TOP + _PITCH * len(groups) + 18)
    left = MARGIN + min(_WIDEST_LABEL, max((text_width(name) for name in names), default=0)) + 14
    has_shares = any(group.share is not None for group in groups)
    _bars(canvas, groups, names, left, WIDTH - MARGIN - (64 if has_shares else 0), breakdown, wording)
    return canvas.svg()


def _shown(groups: list[Group]) -> list[Group]:
    """Choose the greatest, and where there are negative values also the least."""
    if len(groups) <= _MOST_BARS or (groups[-1].values[0] or 0.0) >= 0:
        return groups[:_MOST_BARS]
    return groups[: _MOST_BARS - _MOST_LOSSES] + groups[-_MOST_LOSSES:]


def _bars(
    canvas: Canvas,
    groups: list[Group],
    names: list[str],
    left: float,
    right: float,
    breakdown: Breakdown,
    wording: Wording,
) -> None:
    measure = breakdown.measures[0]
    values = [group.values[0] or 0.0 for group in groups]
    labels = [short_in_unit(value, measure.unit, wording) for value in values]
    low, high = min([0.0, *values]), max([0.0, *values])
    room = max((text_width(label) for label in labels), default=0) + 12
    start, end = left + (room if low < 0 else 0), right - room
    scale = (end - start) / ((high - low) or 1.0)
    zero = start - low * scale
    for i, (group, name, value, label) in enumerate(zip(groups, names, values, labels, strict=True)):
        top = TOP + i * _PITCH
        baseline = top + _THICKNESS / 2 + 4.5
        length = abs(value) * scale
        hint = f"{name}: {in_unit(value, measure, wording)}"
        canvas.text(
            left - 14, baseline, fit(name, _WIDEST_LABEL), "muted" if group.name is None else "", "end"
        )
        style = "rest" if group.name is None else "bar"
        canvas.bar(zero if value >= 0 else zero - length, top, max(length, 1), _THICKNESS, style, hint)
        if value >= 0:
            canvas.text(zero + length + 8, baseline, label, "strong")
        else:
            canvas.text(zero - length - 8, baseline, label, "strong", "end")
        if group.share is not None:
            canvas.text(WIDTH - MARGIN, baseline, wording.percent(group.share), "muted", "end")
    canvas.line(zero, TOP - 6, zero, TOP + _PITCH * len(groups) - 8, "axis")
