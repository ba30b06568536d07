"""Files below a workspace's folder, opened step by step without ever following a link.

A path is untrusted: it comes from callers and from agents. Each part is opened relative to the folder
before it with ``O_NOFOLLOW``, so that neither ``..`` nor a link, even one swapped in at the last moment,
leads outside; a FIFO or device is refused without waiting on it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import secrets
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from gateway.errors import NotFound
from lifecycle.input_rules import refuse
from lifecycle.times import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1024 * 1024
MAX_PATH = 1024
"""Characters; an artifact keeps its path in a column of this length."""
FAULTS_OF_A_PATH = {
    errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ENOTEMPTY,
}  # fmt: skip
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TooLarge(Exception):
    """More bytes came than the limit allows; nothing was kept."""


def parts_of(path: str) -> list[str]:
    """The parts of a path relative to the workspace; raise ``InvalidInput`` if it could leave it."""
    if not isinstance(path, str) or "\x00" in path or "\\" in path or path.startswith("/"):
        raise refuse(
            "path", f"{path!r} is not a path inside the workspace.", "Use a relative path such as data/a.csv."
        )
    parts = [part for part in path.split("/") if part not in ("", ".")]
    too_long = len(path) > MAX_PATH or any(len(part.encode("utf-8", "surrogatepass")) > 255 for part in parts)
    if ".." in parts or too_long:
        raise refuse(
            "path", f"{path!r} is not a path inside the workspace.", "Leave out '..' and over-long names."
        )
    return parts


def open_file(root: Path, path: str) -> IO[bytes]:
    """The regular file at ``path`` below ``root``, open for reading; ``NotFound`` for anything else."""
    parts = parts_of(path)
    if not parts:
        raise _missing(path)
    try:
        with _folder(root, parts[:-1]) as folder:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(parts[-1], flags, dir_fd=folder)
    except OSError as exc:
        raise _missing(path) from exc
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _missing(path)
    return os.fdopen(descriptor, "rb")


def write(root: Path, path: str, source: IO[bytes] | bytes | Path, *, limit: int) -> dict[str, Any]:
    """Write ``source`` to ``path`` through a draft beside it, so that the file appears whole or not at all.

    Raises ``TooLarge`` beyond ``limit`` bytes. Returns ``{"path", "size", "sha256"}``.
    """
    parts = parts_of(path)
    if not parts:
        raise refuse("path", "must name a file.")
    draft = f".{secrets.token_hex(8)}.part"
    try:
        with _folder(root, parts[:-1], make=True) as folder, _reading(source) as stream:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with os.fdopen(os.open(draft, flags, 0o600, dir_fd=folder), "wb") as file:
                    size, digest = _copy(stream, file, limit)
                os.rename(draft, parts[-1], src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft, dir_fd=folder)
                raise
    except OSError as exc:
        if exc.errno not in FAULTS_OF_A_PATH:  # such as a full disk, or an upload that broke off
            raise
        raise refuse("path", f"{path!r} cannot be written ({exc.strerror}).") from exc
    return {"path": "/".join(parts), "size": size, "sha256": digest}


def listing(root: Path, path: str) -> list[dict[str, Any]]:
    """The files and folders in one folder, folders first, by name; links and drafts are left out."""
    parts = parts_of(path)
    found = []
    try:
        with _folder(root, parts) as folder, os.scandir(folder) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                is_folder = stat.S_ISDIR(status.st_mode)
                if not (is_folder or stat.S_ISREG(status.st_mode)) or _is_draft(entry.name):
                    continue
                found.append(
                    {
                        "path": "/".join([*parts, entry.name]),
                        "kind": "dir" if is_folder else "file",
                        "size": 0 if is_folder else status.st_size,
                        "modified_at": iso(datetime.fromtimestamp(status.st_mtime, UTC)),
                    }
                )
    except OSError as exc:
        raise _missing(path) from exc
    return sorted(found, key=lambda item: (item["kind"], item["path"]))


def size_at(root: Path, path: str) -> int:
    """The bytes of the file at ``path``; 0 if there is none."""
    try:
        with open_file(root, path) as file:
            return os.fstat(file.fileno()).st_size
    except NotFound:
        return 0


def size_of(root: Path) -> int:
    """The bytes of all regular files below ``root``, links not followed."""
    total = 0
    for folder, _, names, descriptor in os.fwalk(root):
        del folder
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                total += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return total


@contextlib.contextmanager
def _folder(root: Path, parts: list[str], *, make: bool = False) -> Iterator[int]:
    descriptor = os.open(root, FOLDER)
    try:
        for part in parts:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=descriptor)
            inner = os.open(part, FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _reading(source: IO[bytes] | bytes | Path) -> Iterator[IO[bytes]]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, Path):
        with source.open("rb") as file:
            yield file
    else:
        yield source


def _copy(source: IO[bytes], target: IO[bytes], limit: int) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    while chunk := source.read(CHUNK):
        size += len(chunk)
        if size > limit:
            raise TooLarge
        digest.update(chunk)
        target.write(chunk)
    target.flush()
    os.fsync(target.fileno())
    return size, digest.hexdigest()


def _is_draft(name: str) -> bool:
    return name.startswith(".") and name.endswith(".part")


def _missing(path: str) -> NotFound:
    return NotFound(
        f"There is no file '{path}' in the workspace.", hint="List the workspace's files to see their paths."
    )
