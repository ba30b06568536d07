"""``/stats``, ``/pause``, ``/resume``"""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from executor.engine_manager import EngineManager
from lifecycle.api.views import ApiView


class StatsView(ApiView):
    """How the engine stands."""

    def get(self, request: Request) -> Response:
        return Response(EngineManager().stats(actor=self.actor))


class PauseView(ApiView):
    """POST /pause"""

    write_scope = "admin"

    def post(self, request: Request) -> Response:
        return Response(EngineManager().pause(actor=self.actor))


class ResumeView(ApiView):
    """POST /resume"""

    write_scope = "admin"

    def post(self, request: Request) -> Response:
        return Response(EngineManager().resume(actor=self.actor))
