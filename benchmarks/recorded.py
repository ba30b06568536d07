"""What the measured code itself notes: its first and last moment, by wall clock, a line each in one file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Span:
    """When one task's code ran."""

    started: float
    ended: float


def note(path: str, key: str, started: float, ended: float) -> None:
    """Append one line; several processes may do so at once."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{key} {started:.6f} {ended:.6f}\n".encode())
    finally:
        os.close(descriptor)


def spans(path: Path) -> dict[str, Span]:
    """The lines of the file, by key; of a key noted twice, the first."""
    found: dict[str, Span] = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        key, started, ended = line.split()
        found.setdefault(key, Span(float(started), float(ended)))
    return found


def peak(ran: dict[str, Span]) -> int:
    """How many ran at the same time at most."""
    turns = sorted([(one.started, 1) for one in ran.values()] + [(one.ended, -1) for one in ran.values()])
    running = highest = 0
    for _, turn in turns:
        running += turn
        highest = max(highest, running)
    return highest
