"""Values that are given on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import typer

from gateway.client.python.cli.speech import say


def json_value(text: str | None, option: str = "--input") -> Any:
    """JSON from the text itself, from ``@FILE`` or a file's path, or from stdin (``-``)."""
    if text is None:
        return None
    source, where = _source(text, option)
    try:
        return json.loads(source)
    except ValueError as exc:
        problem = say("{where} is not JSON: {problem}.", where=where, problem=exc)
        raise typer.BadParameter(problem, param_hint=option) from None


def labels(pairs: list[str] | None) -> dict[str, str]:
    """``KEY=VALUE`` pairs as a dict."""
    found = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise typer.BadParameter(say("{pair} is not KEY=VALUE.", pair=pair), param_hint="--label")
        found[key] = value
    return found


def _source(text: str, option: str) -> tuple[str, str]:
    if text == "-":
        return sys.stdin.read(), "stdin"
    path = Path(text[1:]) if text.startswith("@") else _file(text)
    if path is None:
        return text, text if len(text) <= 40 else f"{text[:40]}…"
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as exc:
        problem = say("{path} cannot be read: {problem}.", path=path, problem=exc)
        raise typer.BadParameter(problem, param_hint=option) from None


def _file(text: str) -> Path | None:
    """The file that is meant by a path without ``@``, if it is none of JSON and there is such a file."""
    try:
        json.loads(text)
    except ValueError:
        path = Path(text)
        try:
            return path if path.is_file() else None
        except OSError:  # too long for a name
            return None
    return None
