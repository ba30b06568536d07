"""``/whoami``"""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle.api.views import ApiView


class WhoamiView(ApiView):
    """Who the caller is, and what it may do."""

    def get(self, request: Request) -> Response:
        actor = self.actor
        kind, _, name = actor.name.partition(":")
        seen = None if actor.workspaces is None else sorted(actor.workspaces)
        return Response({"kind": kind, "name": name, "scopes": sorted(actor.scopes), "workspaces": seen})
