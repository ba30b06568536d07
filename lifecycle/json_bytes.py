"""JSON as it goes out: by orjson, several times faster than the standard library on a list of tasks."""

from __future__ import annotations

import json
from typing import Any

import orjson


def dumps(data: Any) -> bytes:
    """``data`` as JSON in UTF-8.

    Numbers beyond 64 bits, which an input or a result may hold, and halves of surrogate pairs are beyond
    orjson too; one of them in a list must not take the list away.
    """
    try:
        return orjson.dumps(data)
    except TypeError:
        return json.dumps(data, separators=(",", ":"), allow_nan=False).encode()
