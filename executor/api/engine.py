"""``/stats``, ``/pause``, ``/resume``"""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from executor.engine_manager import EngineManager, StatsDict
from lifecycle.api.schema import documented, shape
from lifecycle.api.views import ApiView


class StatsView(ApiView):
    """How the engine stands."""

    @documented("Tell how the engine stands", shape(StatsDict))
    def get(self, request: Request) -> Response:
        return Response(EngineManager().stats(actor=self.actor))


class PauseView(ApiView):
    """POST /pause"""

    write_scope = "admin"

    @documented("Start nothing any more", shape(StatsDict))
    def post(self, request: Request) -> Response:
        return Response(EngineManager().pause(actor=self.actor))


class ResumeView(ApiView):
    """POST /resume"""

    write_scope = "admin"

    @documented("Start tasks again", shape(StatsDict))
    def post(self, request: Request) -> Response:
        return Response(EngineManager().resume(actor=self.actor))
