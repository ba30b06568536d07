"""Which files of the workspace are tables."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from executor.agents.data_analyst.csv_text import to_utf8
from executor.agents.data_analyst.dialect import looks_delimited
from executor.agents.data_analyst.errors import UnusableFileError
from executor.agents.data_analyst.wording import Wording

_TABLE_ENDINGS = {".csv", ".tsv"}
_PEEK_BYTES = 64 * 1024


@dataclass(frozen=True)
class CsvFile:
    """One table file. ``name`` is its path below the workspace, with forward slashes."""

    name: str
    path: Path
    size: int


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and the reason: a sentence that begins with the file's name."""

    name: str
    reason: str


def find_csv_files(root: Path, wording: Wording) -> tuple[list[CsvFile], list[Skipped]]:
    """Return the table files below ``root``, by name, and the ones that must not be read.

    A table file ends in ``.csv`` or ``.tsv``, or in ``.txt`` and looks delimited.
    Hidden files and folders are left alone. A link is followed only to a file that
    is itself inside the workspace.
    """
    root = root.resolve()
    found: dict[Path, CsvFile] = {}
    skipped: list[Skipped] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if name.startswith(".") or path.suffix.lower() not in _TABLE_ENDINGS | {".txt"}:
                continue
            shown = _printable(path.relative_to(root).as_posix())
            target = _target_inside(path, root)
            if target is None:
                reason = wording.say(
                    f"{shown} is a link that leads out of the workspace or to no file.",
                    f"{shown} 是指向工作区之外或不存在文件的链接。",
                )
                skipped.append(Skipped(shown, reason))
            elif path.suffix.lower() != ".txt" or _is_table_text(target):
                # A link inside the workspace must not make a file count twice.
                found.setdefault(target, CsvFile(shown, target, target.stat().st_size))
    return sorted(found.values(), key=lambda file: file.name), skipped


def _target_inside(path: Path, root: Path) -> Path | None:
    try:
        target = path.resolve(strict=True)
        is_file = stat.S_ISREG(target.stat().st_mode)
    except (OSError, RuntimeError):
        return None
    return target if is_file and target.is_relative_to(root) else None


def _is_table_text(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(_PEEK_BYTES)
        return looks_delimited(to_utf8(start, path.name, Wording(chinese=False), is_start=True).data)
    except (OSError, UnusableFileError):
        return False


def _printable(name: str) -> str:
    """Replace the bytes of a file name that are not UTF-8; JSON and SVG cannot hold them."""
    return os.fsencode(name).decode("utf-8", errors="replace")
