"""Fetching content: checked against its SHA-256, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.parse import unquote

import requests

from gateway.client.python.problems import is_transient
from gateway.client.python.transport import CUTS, Call, Transport, delay
from gateway.errors import GatewayError, Unreachable

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are through, and with all of them as far as known."""

CHUNK = 256 * 1024
TAG = re.compile(r'(?:W/)?"([0-9a-f]{64})"')


def save(http: Transport, path: str, target: Path, progress: Progress | None = None) -> Path:
    """Save what lies at ``path`` of the server as ``target``, or in it if that is a folder."""
    into_folder = target.is_dir()
    folder = target if into_folder else target.parent
    part = folder / f".gateway-{secrets.token_hex(6)}.part"
    try:
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), "w+b") as file:
            name = fetch(http, path, file, progress)
        whole = folder / name if into_folder else target
        part.replace(whole)
        return whole
    finally:
        part.unlink(missing_ok=True)


def fetch(http: Transport, path: str, file: IO[bytes], progress: Progress | None = None) -> str:
    """Write the content at ``path`` into ``file``, from its beginning again after a cut; returns its name."""
    tries = 0
    while True:
        file.seek(0)
        file.truncate()
        try:
            return _attempt(http, path, file, progress)
        except GatewayError as exc:
            tries += 1
            if tries > http.retries or not is_transient(exc):
                raise
            time.sleep(delay(tries))


def _attempt(http: Transport, path: str, file: IO[bytes], progress: Progress | None) -> str:
    call = Call("GET", path, headers={"Accept": "*/*", "Accept-Encoding": "identity"}, stream=True)
    with http.response(call) as response:
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdigit() else None
        digest = hashlib.sha256()
        done = 0
        for piece in _pieces(http, response):
            file.write(piece)
            digest.update(piece)
            done += len(piece)
            if progress is not None:
                progress(done, total)
        tag = TAG.fullmatch(response.headers.get("ETag", ""))
        if tag and tag[1] != digest.hexdigest():
            raise Unreachable(
                f"What {http.server.url} sent of {path} is not what it has: the SHA-256 differs."
            )
        return _name_of(response, path)


def _pieces(http: Transport, response: requests.Response) -> Iterator[bytes]:
    try:
        yield from response.iter_content(CHUNK)
    except CUTS as exc:
        raise http.unreachable(exc) from exc


def _name_of(response: requests.Response, path: str) -> str:
    header = Message()
    header["Content-Disposition"] = response.headers.get("Content-Disposition", "")
    name = Path(header.get_filename() or "").name
    return name or unquote(path.rpartition("/")[2]) or "download"
