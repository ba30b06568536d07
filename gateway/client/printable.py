"""Text of others on a terminal, without what would command the terminal."""

from __future__ import annotations

import re

# C0 and C1 control characters except tab and line feed, and marks that turn the direction of writing.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """``text`` with each control character shown as ``�``."""
    return CONTROLS.sub("\ufffd", text)
