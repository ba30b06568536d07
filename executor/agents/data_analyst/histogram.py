"""The histogram of a measure, with its outliers set apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from executor.agents.data_analyst.drawing import MARGIN, TOP, WIDTH, Canvas, text_width, ticks
from executor.agents.data_analyst.measure_wording import short_in_unit, with_unit

if TYPE_CHECKING:
    from executor.agents.data_analyst.outliers import Spread
    from executor.agents.data_analyst.wording import Wording

_HEIGHT = 380
_BOTTOM = _HEIGHT - 52
#: Width kept at a side for the bar that stands for all outliers there.
_SIDE = 96
_SIDE_BAR = 34


def histogram(spread: Spread, file: str, wording: Wording) -> str:
    """Draw how often values occur. Outliers are one bar of another colour at each side."""
    name, unit = spread.column.name, spread.column.unit
    title = wording.say(f"Distribution of {name}", f"{name}的分布")
    subtitle = wording.say(
        f"{file} · rows by value · {spread.count:,} outliers set apart",
        f"{file} · 各取值区间的行数 · {spread.count:,} 个异常值单独列出",
    )
    canvas = Canvas(title, subtitle, _description(spread, wording), _HEIGHT)
    levels = [
        tick for tick in ticks(0, max([*spread.counts, spread.below, spread.above, 1])) if tick == int(tick)
    ]
    left = MARGIN + max(text_width(wording.short(level)) for level in levels) + 12
    scale = (_BOTTOM - TOP - 8) / levels[-1]
    for level in levels:
        y = _BOTTOM - level * scale
        canvas.line(left, y, WIDTH - MARGIN, y, "grid" if level else "axis")
        canvas.text(left - 10, y + 4.5, wording.short(level), "muted", "end")
    start = left + 8 + (_SIDE if spread.below else 0)
    end = WIDTH - MARGIN - 8 - (_SIDE if spread.above else 0)
    _bins(canvas, spread, start, end, scale, wording)
    if spread.below:
        _side(
            canvas,
            left + 8 + _SIDE / 2 - 8,
            spread.below,
            f"< {short_in_unit(spread.low, unit, wording)}",
            scale,
            wording,
        )
    if spread.above:
        _side(
            canvas,
            end + _SIDE / 2 + 8,
            spread.above,
            f"> {short_in_unit(spread.high, unit, wording)}",
            scale,
            wording,
        )
    return canvas.svg()


def _description(spread: Spread, wording: Wording) -> str:
    low, median, high = (
        with_unit(v, spread.column.unit, wording) for v in (spread.low, spread.median, spread.high)
    )
    return wording.say(
        f"Median {median}. {spread.below} values lie below {low} and {spread.above} above {high}.",
        f"中位数 {median}。低于 {low} 的有 {spread.below} 个，高于 {high} 的有 {spread.above} 个。",
    )


def _bins(canvas: Canvas, spread: Spread, start: float, end: float, scale: float, wording: Wording) -> None:
    edges, unit = spread.edges, spread.column.unit
    first, span = edges[0], (edges[-1] - edges[0]) or 1.0
    # A whole number is as wide as 1, and its mark belongs in the middle of that.
    is_whole = spread.column.is_whole and len(spread.counts) > 1
    half, last = (0.5, edges[-1] - 1) if is_whole else (0.0, edges[-1])

    def at(value: float) -> float:
        return start + (end - start) * (value + half - first) / span

    width = (end - start) / len(spread.counts)
    for i, count in enumerate(spread.counts):
        low, high = edges[i], edges[min(i + 1, len(edges) - 1)] - 2 * half
        bounds = [with_unit(edge, unit, wording) for edge in ([low] if low == high else [low, high])]
        hint = f"{' – '.join(bounds)}: {wording.rows(count)}"
        canvas.bar(start + i * width + 1, _BOTTOM - count * scale, width - 2, count * scale, "bar", hint)
    labels = [t for t in ticks(first, last, most=8) if first <= t <= last and (not is_whole or t == int(t))]
    for tick in labels:
        canvas.line(at(tick), _BOTTOM, at(tick), _BOTTOM + 5, "axis")
        canvas.text(at(tick), _BOTTOM + 22, short_in_unit(tick, unit, wording), "muted", "middle")
    if first <= spread.median <= last:
        x = at(spread.median)
        canvas.line(x, TOP - 2, x, _BOTTOM, "middle")
        median = short_in_unit(spread.median, unit, wording)
        canvas.text(x + 8, TOP + 8, wording.say(f"median {median}", f"中位数 {median}"), "strong halo")


def _side(canvas: Canvas, centre: float, count: int, bound: str, scale: float, wording: Wording) -> None:
    height = max(count * scale, 3)  # a few outliers among many rows must still be seen
    canvas.bar(
        centre - _SIDE_BAR / 2, _BOTTOM - height, _SIDE_BAR, height, "far", f"{bound}: {wording.rows(count)}"
    )
    canvas.text(centre, _BOTTOM - height - 8, f"{count:,}", "far-text", "middle")
    canvas.text(centre, _BOTTOM + 22, bound, "far-text", "middle")
