"""How a measure is called, and how its values are written with their unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from executor.agents.data_analyst.focus import Measure
    from executor.agents.data_analyst.wording import Wording


def measure_title(measure: Measure, wording: Wording) -> str:
    """``Total of amount``, ``Average of price``, ``Rows``; ``销售额合计``, ``单价平均值``, ``行数``."""
    name = measure.name
    if name is None:
        return wording.say("Rows", "行数")
    if measure.how == "mean":
        return wording.say(f"Average of {name}", f"{name}平均值")
    return wording.say(f"Total of {name}", f"{name}合计")


def measure_phrase(measure: Measure, wording: Wording) -> str:
    """Name a measure within a sentence: ``the total of amount``, ``销售额合计``."""
    title = measure_title(measure, wording)
    return title if wording.chinese else f"the {title[0].lower()}{title[1:]}"


def in_unit(value: float | None, measure: Measure, wording: Wording) -> str:
    """Write a measure's value in full, with its currency before it or its percent sign behind it."""
    if measure.column is None:
        return "–" if value is None else wording.number(value)
    is_whole = measure.how != "mean" and measure.column.is_whole
    return with_unit(value, measure.unit, wording, places=0 if is_whole else 2)


def with_unit(value: float | None, unit: str, wording: Wording, places: int | None = None) -> str:
    """Write a value in full with a unit; ``–`` if there is none."""
    if value is None:
        return "–"
    return _marked(wording.number(value, places), unit)


def short_in_unit(value: float, unit: str, wording: Wording) -> str:
    """Write a value for a chart with its unit: ``¥12.3K``, ``20.4%``."""
    return _marked(wording.short(value), unit)


def _marked(text: str, unit: str) -> str:
    if unit == "%":
        return f"{text}%"
    return f"-{unit}{text[1:]}" if unit and text.startswith("-") else f"{unit}{text}"
