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

from gateway.errors import IsDirectory, NotFound, PreconditionFailed
from lifecycle.input_rules import refuse
from lifecycle.times import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1024 * 1024
MAX_PATH = 1024
"""Characters; an artifact keeps its path in a column of this length."""
FAULTS_OF_A_PATH = {
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM,
    errno.ENOTEMPTY,
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
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsDirectory(f"'{path}' is a folder.", hint="List it with ?path=, or name a file in it.")
        raise _missing(path)
    return os.fdopen(descriptor, "rb")


def digest_of(root: Path, path: str) -> str | None:
    """The SHA-256 of the file's content; None if there is no such file."""
    try:
        with open_file(root, path) as file:
            digest = hashlib.sha256()
            while chunk := file.read(CHUNK):
                digest.update(chunk)
            return digest.hexdigest()
    except NotFound:
        return None


def delete(root: Path, path: str, *, if_match: str | None = None) -> None:
    """Remove a file or an empty folder."""
    parts = parts_of(path)
    if not parts:
        raise _missing(path)
    if if_match is not None:
        _check_match(root, path, if_match)
    try:
        with _folder(root, parts[:-1]) as folder:
            if stat.S_ISDIR(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False).st_mode):
                os.rmdir(parts[-1], dir_fd=folder)
            else:
                os.unlink(parts[-1], dir_fd=folder)
    except OSError as exc:
        if exc.errno == errno.ENOTEMPTY:
            raise IsDirectory(f"'{path}' is a folder with files in it.", hint="Delete these first.") from None
        raise _missing(path) from exc


def write(
    root: Path,
    path: str,
    source: IO[bytes] | bytes | Path,
    *,
    limit: int,
    if_match: str | None = None,
    if_new: bool = False,
) -> dict[str, Any]:
    """Write ``source`` to ``path`` through a draft beside it, so that the file appears whole or not at all.

    Raises ``TooLarge`` beyond ``limit`` bytes, ``PreconditionFailed`` if the present file is not the one that
    ``if_match`` (a SHA-256) names, or is there despite ``if_new``. Returns ``{"path", "size", "sha256"}``.
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
                if if_match is not None:
                    _check_match(root, path, if_match)
                _put_in_place(folder, draft, parts[-1], if_new=if_new)
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


def _put_in_place(folder: int, draft: str, name: str, *, if_new: bool) -> None:
    if not if_new:
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        return
    try:
        os.link(draft, name, src_dir_fd=folder, dst_dir_fd=folder)  # fails if it is there, unlike a rename
    except FileExistsError:
        raise PreconditionFailed(f"There is a file '{name}' already.") from None
    os.unlink(draft, dir_fd=folder)


def _check_match(root: Path, path: str, wanted: str) -> None:
    present = digest_of(root, path)
    if present is None or (wanted != "*" and present != wanted):
        raise PreconditionFailed(
            f"'{path}' is not the file that If-Match names.",
            hint="Read it again and decide anew.",
            sha256=present,
        )


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
