"""``GET /tasks/{id}/events`` without ``wait``; with it, see ``executor/api/live.py``."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from executor.task_manager import TaskManager
from lifecycle.api.views import ApiView, Query


class EventsView(ApiView):
    """The log of a task from a cursor on."""

    def get(self, request: Request, task_id: str) -> Response:
        query = Query(request, ("after", "limit"))
        page = TaskManager().read_events(
            task_id,
            after=query.whole("after", 0, low=-1, high=2**31 - 1),
            limit=query.whole("limit", 200, low=1, high=1000),
            actor=self.actor,
        )
        return Response(page)
