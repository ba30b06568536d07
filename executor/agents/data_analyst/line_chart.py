"""The line chart of the monthly trend."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from executor.agents.data_analyst.drawing import MARGIN, TOP, WIDTH, Canvas, text_width, ticks
from executor.agents.data_analyst.measure_wording import in_unit, measure_title, short_in_unit

if TYPE_CHECKING:
    from executor.agents.data_analyst.trend import Month, Trend
    from executor.agents.data_analyst.wording import Wording

_HEIGHT = 400
_BOTTOM = _HEIGHT - 64
_MOST_LABELS = 14
_MOST_DOTS = 40
_ENGLISH_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def line_chart(trend: Trend, file: str, wording: Wording) -> str:
    """Draw a measure by month. Months that the data cover only in part are joined by dashes."""
    title = wording.say(
        f"{measure_title(trend.measure, wording)} by month",
        f"{measure_title(trend.measure, wording)}的月度趋势",
    )
    subtitle = f"{file} · {trend.months[0].key} – {trend.months[-1].key}"
    if trend.starts_late or trend.ends_early:
        subtitle += wording.say(" · dashed: month not complete", " · 虚线：该月数据不完整")
    known = [month for month in trend.months if month.value is not None]
    description = "; ".join(f"{month.key}: {in_unit(month.value, trend.measure, wording)}" for month in known)
    canvas = Canvas(title, subtitle, description, _HEIGHT)
    plot = _Plot(canvas, trend, [month.value or 0.0 for month in known], wording)
    plot.grid()
    plot.months()
    plot.curve()
    plot.marks()
    return canvas.svg()


class _Plot:
    """Places the months of one trend on a canvas."""

    def __init__(self, canvas: Canvas, trend: Trend, values: list[float], wording: Wording) -> None:
        self._canvas, self._trend, self._wording = canvas, trend, wording
        low, high = min(values), max(values)
        # A sum starts at zero, or small changes would look large; a mean may hover far above it.
        self._has_zero = trend.measure.how != "mean" or (low >= 0 and low < high / 2)
        self._ticks = ticks(
            min(low, 0.0) if self._has_zero else low, max(high, 0.0) if self._has_zero else high
        )
        self._left = MARGIN + max(text_width(self._short(tick)) for tick in self._ticks) + 12
        self._right = WIDTH - MARGIN - 12

    def _short(self, value: float) -> str:
        return short_in_unit(value, self._trend.measure.unit, self._wording)

    def x(self, i: int) -> float:
        count = len(self._trend.months)
        if count == 1:
            return (self._left + self._right) / 2
        return self._left + 12 + (self._right - self._left - 12) * i / (count - 1)

    def y(self, value: float) -> float:
        first, last = self._ticks[0], self._ticks[-1]
        return _BOTTOM - (_BOTTOM - TOP - 8) * (value - first) / ((last - first) or 1.0)

    def grid(self) -> None:
        """Draw the round numbers of the value axis."""
        for tick in self._ticks:
            y = self.y(tick)
            self._canvas.line(
                self._left, y, self._right + 12, y, "axis" if tick in (0, self._ticks[0]) else "grid"
            )
            self._canvas.text(self._left - 10, y + 4.5, self._short(tick), "muted", "end")

    def months(self) -> None:
        """Name the months below, and the year below its first month."""
        months = self._trend.months
        wanted = math.ceil(len(months) / _MOST_LABELS)
        step = next((n for n in (1, 2, 3, 4, 6, 12) if n >= wanted), 12 * math.ceil(wanted / 12))
        for i, month in enumerate(months):
            is_labelled = (
                (month.month - 1) % step == 0
                if step < 12
                else month.month == 1 and month.year % (step // 12) == 0
            )
            if is_labelled and step < 12:
                name = self._wording.say(_ENGLISH_MONTHS[month.month - 1], f"{month.month}月")
                self._canvas.text(self.x(i), _BOTTOM + 22, name, "muted", "middle")
            if (month.month == 1 and is_labelled) or (
                i == 0 and (len(months) < 3 or month.month < 12) and step < 12
            ):
                year = self._wording.say(f"{month.year}", f"{month.year}年")
                self._canvas.text(self.x(i), _BOTTOM + (41 if step < 12 else 22), year, "strong", "middle")

    def curve(self) -> None:
        """Draw the line, broken where a month has no value and dashed where it is not complete."""
        for run in self._runs():
            points = [(self.x(i), self.y(month.value or 0.0)) for i, month in run]
            if self._has_zero and len(points) > 1 and self._ticks[0] >= 0:
                floor = self.y(max(self._ticks[0], 0.0))
                self._canvas.path(
                    [(points[0][0], floor), *points, (points[-1][0], floor)], "area", closed=True
                )
            for (i, _), start, end in zip(run, points, points[1:], strict=False):
                is_part = (i == 0 and self._trend.starts_late) or (
                    i + 1 == len(self._trend.months) - 1 and self._trend.ends_early
                )
                self._canvas.path([start, end], "line dashed" if is_part else "line")

    def _runs(self) -> list[list[tuple[int, Month]]]:
        runs: list[list[tuple[int, Month]]] = [[]]
        for i, month in enumerate(self._trend.months):
            if month.value is None:
                runs.append([])
            else:
                runs[-1].append((i, month))
        return [run for run in runs if run]

    def marks(self) -> None:
        """Draw a point for each month, and write the value of the greatest and of the last complete one."""
        months, whole = self._trend.months, self._trend.whole
        peak, last = self._trend.peak, whole[-1] if whole else None
        for i, month in enumerate(months):
            if month.value is None or (len(months) > _MOST_DOTS and month not in (peak, last)):
                continue
            hint = f"{month.key}: {in_unit(month.value, self._trend.measure, self._wording)}"
            style = "dot" if month in whole else "hollow"
            self._canvas.dot(self.x(i), self.y(month.value), style, hint)
            is_last = month is last and len(months) <= _MOST_DOTS and not self._is_near(month, peak)
            if month is peak or is_last:
                label = self._short(month.value)
                at = min(
                    max(self.x(i), self._left + text_width(label) / 2), WIDTH - MARGIN - text_width(label) / 2
                )
                self._canvas.text(at, self.y(month.value) - 13, label, "strong halo", "middle")

    def _is_near(self, month: Month, peak: Month | None) -> bool:
        """Tell whether two months stand so close that the labels of both would touch."""
        months = self._trend.months
        return peak is not None and abs(self.x(months.index(peak)) - self.x(months.index(month))) < 80
