"""The analyst's settings, checked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from executor.agents.data_analyst.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from executor.agents.data_analyst.wording import Wording


@dataclass(frozen=True)
class Options:
    """Limits of one analysis. Every one is a positive number."""

    #: A larger file is refused. Reading one takes about seven times its size in memory.
    max_file_mb: float = 512
    #: Further files are skipped, and named in the report.
    max_files: int = 20
    #: Categories listed in a table; the others are added up in one line.
    max_categories: int = 20
    #: A value is an outlier when it lies this many interquartile ranges outside the quartiles.
    outlier_iqr: float = 3.0

    @classmethod
    def of(cls, settings: Mapping[str, Any], wording: Wording) -> Options:
        """Take the settings that are given. Raise ``AnalysisError`` for one that is not a positive number."""
        given: dict[str, Any] = {}
        for field in fields(cls):
            value = settings.get(field.name, field.default)
            if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                raise AnalysisError(
                    wording.say(
                        f"The setting {field.name} is {value!r}. "
                        f"Set a number above 0, such as {field.default}.",
                        f"设置 {field.name} 的值是 {value!r}，请改为大于 0 的数，例如 {field.default}。",
                    )
                )
            given[field.name] = int(value) if field.name in {"max_files", "max_categories"} else value
        return cls(**given)
