"""The verbs on a workspace's files."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import quote

from gateway.client.python.downloads import Progress, fetch, save
from gateway.client.python.transport import Call, Transport, segment
from gateway.client.python.types import File, StoredFile
from gateway.errors import GatewayError, InvalidInput, NotFound, PreconditionFailed, Unreachable

IN_MEMORY_BYTES = 8 * 1024 * 1024

Source = str | Path | bytes | IO[bytes]


class FileVerbs:
    """Put files into workspaces, and get them out."""

    _http: Transport

    def upload_file(
        self,
        workspace_id: str,
        path: str,
        source: Source,
        *,
        if_match: str | None = None,
        if_new: bool = False,
        progress: Progress | None = None,
    ) -> StoredFile:
        """Write ``source`` (a local path, bytes, or a file open for reading) to ``path`` in the workspace.

        ``if_match`` is the SHA-256 that the file must have now, ``if_new`` that there must be none yet; else
        ``PreconditionFailed``. What was stored is compared with what was sent. Raises ``InvalidInput`` for a
        path that leaves the workspace, ``QuotaExceeded`` for a file that does not fit.
        """
        headers = {"Content-Type": "application/octet-stream"}
        if if_match is not None:
            headers["If-Match"] = f'"{if_match}"'
        if if_new:
            headers["If-None-Match"] = "*"
        where = _path(workspace_id, path)
        with _opened(source) as file, _whole(file) as content:
            upload = Upload(content, progress)
            try:
                stored = self._http.json(Call("PUT", where, content=upload, headers=headers))
            except PreconditionFailed:
                # An answer may have been lost: then the file that is in the way is this one.
                if upload.sent < 2 or self._digest_at(where) != upload.sha256:
                    raise
                stored = {"path": path, "size": len(upload), "sha256": upload.sha256}
        if stored["sha256"] != upload.sha256:
            raise GatewayError(
                f"'{path}' was stored with another content than was sent: the SHA-256 differs.",
                hint="Upload it again, and do not write to it meanwhile.",
            )
        return cast("StoredFile", stored)

    def download_file(
        self, workspace_id: str, path: str, target: str | Path, *, progress: Progress | None = None
    ) -> Path:
        """Save a file of the workspace as ``target`` (a file, or a folder to put it in); returns its path.

        The file appears whole or not at all, checked against its SHA-256.
        """
        return save(self._http, _path(workspace_id, path), Path(target), progress)

    def read_file(self, workspace_id: str, path: str) -> IO[bytes]:
        """A file of the workspace, open for reading; close it after use."""
        file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115 - handed to the caller
        try:
            fetch(self._http, _path(workspace_id, path), cast("IO[bytes]", file))
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return cast("IO[bytes]", file)

    def list_files(self, workspace_id: str, path: str = "") -> list[File]:
        """One folder of the workspace, folders first."""
        call = Call("GET", _folder(workspace_id), query={"path": path or None})
        return cast("list[File]", self._http.json(call)["items"])

    def delete_file(self, workspace_id: str, path: str, *, if_match: str | None = None) -> None:
        """Remove a file or an empty folder; raise ``NotFound``, ``IsDirectory`` or ``PreconditionFailed``."""
        headers = {} if if_match is None else {"If-Match": f'"{if_match}"'}
        self._http.json(Call("DELETE", _path(workspace_id, path), headers=headers))

    def _digest_at(self, where: str) -> str | None:
        try:
            answer = self._http.response(Call("HEAD", where, headers={"Accept-Encoding": "identity"}))
        except NotFound:
            return None
        return answer.headers.get("ETag", "").strip('"')


class Upload:
    """Content with a known length, read by the connection piece by piece and counted on the way."""

    def __init__(self, file: IO[bytes], progress: Progress | None) -> None:
        self._file = file
        self._progress = progress
        self._start = file.tell()
        self._length = file.seek(0, os.SEEK_END) - self._start
        self._digest = hashlib.sha256()
        self._done = 0
        self.sent = 0

    def __len__(self) -> int:
        return self._length

    def rewind(self) -> None:
        """Start from the beginning, for another try."""
        self._file.seek(self._start)
        self._digest, self._done, self.sent = hashlib.sha256(), 0, self.sent + 1

    def read(self, size: int = -1) -> bytes:
        """The next piece, never more than was there at the start."""
        left = self._length - self._done
        piece = self._file.read(left if size < 0 else min(size, left))
        if not piece and left:
            raise Unreachable("The file became shorter while it was being uploaded.", permanent=True)
        self._digest.update(piece)
        self._done += len(piece)
        if piece and self._progress is not None:
            self._progress(self._done, self._length)
        return piece

    @property
    def sha256(self) -> str:
        """Of what was read in this try."""
        return self._digest.hexdigest()


def _opened(source: Source) -> Any:
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    if isinstance(source, str | Path):
        return Path(source).open("rb")
    return nullcontext(source)  # the caller opened it and closes it


def _whole(file: IO[bytes]) -> Any:
    """The file if it can be read again after a cut, else a copy of it that can."""
    if file.seekable():
        return nullcontext(file)
    copy = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115 - used in a with
    while piece := file.read(1024 * 1024):
        copy.write(piece)
    copy.seek(0)
    return copy


def _folder(workspace_id: str) -> str:
    return f"/workspaces/{segment(workspace_id, 'workspace_id')}/files"


def _path(workspace_id: str, path: str) -> str:
    parts = path.split("/")
    # These are resolved on the way, before the server could refuse them.
    if not path.strip("/") or path.startswith("/") or "." in parts or ".." in parts:
        message = "must be a relative path such as data/a.csv"
        raise InvalidInput(f"path: {path!r} {message}.", errors=[{"field": "path", "message": message}])
    return f"{_folder(workspace_id)}/{quote(path)}"
