"""Small tables, and the numbers in them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(ascending: Sequence[float], share: float) -> float:
    """The value that ``share`` of the sorted values do not exceed."""
    return ascending[max(math.ceil(share * len(ascending)) - 1, 0)]


def table(title: str, rows: Sequence[Sequence[str]]) -> None:
    """Print ``rows``, the first being the head; the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print(f"\n{title}")
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  " + "   ".join(cells).rstrip(), flush=True)


def ratio(peer: float, ours: float) -> str:
    """How many times ``peer`` is ``ours``."""
    return f"{peer / ours:.1f} x"
