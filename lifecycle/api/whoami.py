"""``/whoami``"""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from lifecycle.api.schema import documented, shape
from lifecycle.api.views import ApiView


class WhoamiDict(TypedDict):
    """The caller; ``workspaces`` None: all."""

    kind: str
    name: str
    scopes: list[str]
    workspaces: list[str] | None


class WhoamiView(ApiView):
    """Who the caller is, and what it may do."""

    @documented("Tell who the caller is", shape(WhoamiDict))
    def get(self, request: Request) -> Response:
        actor = self.actor
        kind, _, name = actor.name.partition(":")
        seen = None if actor.workspaces is None else sorted(actor.workspaces)
        return Response({"kind": kind, "name": name, "scopes": sorted(actor.scopes), "workspaces": seen})
