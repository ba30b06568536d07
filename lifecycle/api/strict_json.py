"""JSON bodies, read strictly: UTF-8, no NaN, no NUL, at most 64 levels deep, judged before parsing."""

from __future__ import annotations

import json
import re
from typing import IO, Any

from rest_framework.parsers import BaseParser

from gateway.errors import BadRequest

MAX_DEPTH = 64
MAX_DIGITS = 1000
# Both in one pass, whatever the body is: nothing is tried again from within (``++`` and ``*+`` give nothing
# back), and a string that does not end takes the rest.
_STRUCTURE = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
# An even number of backslashes before it: the backslash of \u0000 is not itself escaped.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*+\\u0000")


class StrictJsonParser(BaseParser):
    """DRF's parser for JSON bodies."""

    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        return loads(stream.read())


def loads(body: bytes) -> Any:
    """The value of a JSON body; {} for an empty one. Raises ``BadRequest`` that says what is wrong."""
    if not body.strip():
        return {}
    if b"\x00" in body or _NUL.search(body):
        raise BadRequest("The body contains a NUL character, which cannot be stored.", hint="Remove it.")
    depth = deepest = 0
    for match in _STRUCTURE.finditer(body):
        mark = match.group()
        depth += 1 if mark in (b"[", b"{") else -1 if mark in (b"]", b"}") else 0
        deepest = max(deepest, depth)
        if deepest > MAX_DEPTH:
            raise BadRequest(f"The body is nested deeper than {MAX_DEPTH} levels.", hint="Flatten it.")
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_object)
    except UnicodeDecodeError:
        raise BadRequest("The body is not UTF-8.", hint="Encode it as UTF-8.") from None
    except RecursionError:
        raise BadRequest("The body is nested too deeply.", hint="Flatten it.") from None
    except ValueError as exc:
        raise BadRequest(
            f"The body is not JSON: {str(exc)[:200]}.", hint="Send valid JSON in UTF-8."
        ) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):  # two readers may take different ones
        raise ValueError("an object has a name twice")
    return made


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
