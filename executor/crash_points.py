"""Named points at which a test may let a process die as if by ``kill -9``.

``GATEWAY_CRASH_AT=after_claim:/path/to/marker`` kills the first process that passes ``after_claim`` and
can make the marker file, so that it happens once. Read only under the tests' settings
(``CRASH_POINTS = True``); elsewhere a point costs one attribute look-up.
"""

from __future__ import annotations

import os
import signal
from typing import Literal

from django.conf import settings

Point = Literal[
    "after_claim", "before_terminal_write", "after_terminal_write", "before_release", "before_reap"
]


def crash_point(name: Point) -> None:
    """Die here if a test asked for it."""
    if not getattr(settings, "CRASH_POINTS", False):
        return
    wanted, _, marker = os.environ.get("GATEWAY_CRASH_AT", "").partition(":")
    if wanted != name:
        return
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
