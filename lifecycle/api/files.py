"""``/workspaces/{id}/files``"""

from __future__ import annotations

import hashlib
import re
from typing import IO, Any, cast

from django.http import FileResponse, HttpResponseBase
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.errors import BadRequest
from lifecycle.api.schema import documented, text
from lifecycle.api.views import ApiView, Query
from lifecycle.input_rules import refuse
from lifecycle.workspace_manager import WorkspaceManager

TAG = re.compile(r'"([0-9a-f]{64})"|\*')
CHUNK = 1024 * 1024
BINARY = {"type": "string", "format": "binary"}
STRING = {"type": "string"}
INTEGER = {"type": "integer"}
KEPT = {
    "type": "object",
    "required": ["path", "size", "sha256"],
    "properties": {"path": STRING, "size": INTEGER, "sha256": STRING},
}
FILE = {
    "type": "object",
    "required": ["path", "kind", "size", "modified_at"],
    "properties": {
        "path": STRING,
        "kind": {"type": "string", "enum": ["file", "dir"]},
        "size": INTEGER,
        "modified_at": STRING,
    },
}
FILES = {
    "type": "object",
    "required": ["items", "next_cursor"],
    "properties": {"items": {"type": "array", "items": FILE}, "next_cursor": {"type": "null"}},
}


class AnyBody(BaseParser):
    """The body as it is, whatever its type says."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return stream


class AnyAnswer(BaseContentNegotiation):
    """A file has the form it has, whatever the caller would like."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class FilesView(ApiView):
    """One folder of a workspace."""

    @documented("List a folder", FILES, query=(text("path", "The folder; none: the top."),))
    def get(self, request: Request, workspace_id: str) -> Response:
        query = Query(request, ("path",))
        files = WorkspaceManager().list_files(workspace_id, query.text("path") or "", actor=self.actor)
        return Response({"items": files, "next_cursor": None})


class FileView(ApiView):
    """One file of a workspace; ``ETag`` is its SHA-256."""

    parser_classes = (AnyBody,)
    content_negotiation_class = AnyAnswer

    @documented(
        "Download a file",
        BINARY,
        media_type="application/octet-stream",
        headers=("If-None-Match",),
        also=(304, 409),
    )
    def get(self, request: Request, workspace_id: str, path: str) -> HttpResponseBase:
        file = WorkspaceManager().read_file(workspace_id, path, actor=self.actor)
        digest = hashlib.sha256()
        while chunk := file.read(CHUNK):
            digest.update(chunk)
        file.seek(0)
        return download(request, file, path.rpartition("/")[2], digest.hexdigest())

    @documented(
        "Write a file",
        KEPT,
        body={"application/octet-stream": BINARY},
        headers=("If-Match", "If-None-Match"),
        also=(409, 412),
    )
    def put(self, request: Request, workspace_id: str, path: str) -> Response:
        match = request.headers.get("If-Match")
        none_match = request.headers.get("If-None-Match")
        if none_match not in (None, "*"):
            raise refuse("If-None-Match", "must be * here.", "Use If-Match to replace a known file.")
        kept = WorkspaceManager().upload_file(
            workspace_id,
            path,
            cast("IO[bytes]", request._request),
            if_match=_tag(match) if match else None,
            if_new=none_match == "*",
            actor=self.actor,
        )
        return Response(kept, headers={"ETag": f'"{kept["sha256"]}"'})

    @documented("Delete a file", None, status=204, headers=("If-Match",), also=(409, 412))
    def delete(self, request: Request, workspace_id: str, path: str) -> Response:
        match = request.headers.get("If-Match")
        WorkspaceManager().delete_file(
            workspace_id, path, if_match=_tag(match) if match else None, actor=self.actor
        )
        return Response(status=204)


class Download(FileResponse):
    """A file in pieces that are worth a hop between threads."""

    block_size = 256 * 1024


def download(request: Request, file: Any, name: str, sha256: str, media_type: str = "") -> HttpResponseBase:
    """The content of ``file`` as a download that no browser runs; 304 if the caller has it already."""
    tag = f'"{sha256}"'
    headers = {
        "ETag": tag,
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "private, no-cache, no-transform",
    }
    wanted = request.headers.get("If-None-Match", "")
    if wanted == "*" or tag in [one.strip().removeprefix("W/") for one in wanted.split(",")]:
        file.close()
        return Response(status=304, headers=headers)
    content_type = media_type or "application/octet-stream"
    return Download(file, as_attachment=True, filename=name, content_type=content_type, headers=headers)


def _tag(value: str) -> str:
    match = TAG.fullmatch(value.strip())
    if match is None:
        raise BadRequest("If-Match must be the ETag of the file, in quotes.", hint='If-Match: "<sha256>"')
    return match.group(1) or "*"
