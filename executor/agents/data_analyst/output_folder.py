"""The folder of the workspace that receives the report."""

from __future__ import annotations

import contextlib
import os
import uuid
from typing import TYPE_CHECKING

from executor.agents.data_analyst.errors import AnalysisError

if TYPE_CHECKING:
    from pathlib import Path

    from executor.agents.data_analyst.wording import Wording

FOLDER = "analysis"
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class OutputFolder:
    """Writes files below ``analysis/``: each whole or not at all, and never through a link."""

    def __init__(self, root: Path, wording: Wording) -> None:
        self._root = root
        self._wording = wording

    def write(self, name: str, text: str) -> str:
        """Write ``name`` (such as ``charts/a.svg``) and return its path in the workspace.

        Raises ``AnalysisError`` if a folder on the way is a link or a file.
        """
        *folders, last = [FOLDER, *name.split("/")]
        handle = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for folder in folders:
                handle = self._enter(handle, folder)
            self._replace(handle, last, text.encode("utf-8", errors="replace"))
        finally:
            os.close(handle)
        return f"{FOLDER}/{name}"

    def _enter(self, parent: int, folder: str) -> int:
        """Open a folder inside an open one, which is closed if that succeeds."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, dir_fd=parent)
        try:
            handle = os.open(folder, _OPEN_FOLDER, dir_fd=parent)
        except OSError as exc:
            raise AnalysisError(
                self._wording.say(
                    f"The report cannot be written: {folder} in the workspace is a link or a file. "
                    "Rename it.",
                    f"无法写入报告：工作区中的 {folder} 是链接或文件。请将其改名。",
                )
            ) from exc
        os.close(parent)
        return handle

    def _replace(self, folder: int, name: str, data: bytes) -> None:
        temporary = f".{name}.{uuid.uuid4().hex}"
        handle = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=folder
        )
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            # A rename puts the file in the place of a link; it does not follow it.
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(temporary, dir_fd=folder)
            raise
