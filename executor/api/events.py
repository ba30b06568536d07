"""``/tasks/{id}/events`` without ``wait``; what waits is answered by ``channels_app/live.py:serve``."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from executor.task_manager import EventPage, TaskManager
from gateway.errors import NotReady
from lifecycle.api.schema import documented, number, shape
from lifecycle.api.views import ApiView, Query

AFTER = number("after", "Events after this number.", minimum=-1, maximum=2**31 - 1, default=0)
STREAM = {"type": "string", "description": "id = seq, event = type, data = the event as JSON."}


class EventsView(ApiView):
    """The log of a task from a cursor on."""

    @documented(
        "Read the events of a task",
        shape(EventPage),
        query=(
            AFTER,
            number("limit", "Events at most.", minimum=1, maximum=1000, default=200),
            number("wait", "Seconds to wait for the first new event.", minimum=0, maximum=30, default=0.0),
        ),
    )
    def get(self, request: Request, task_id: str) -> Response:
        query = Query(request, ("after", "limit"))
        page = TaskManager().read_events(
            task_id,
            after=query.whole("after", 0, low=-1, high=2**31 - 1),
            limit=query.whole("limit", 200, low=1, high=1000),
            actor=self.actor,
        )
        return Response(page)


class StreamView(ApiView):
    """The same log as server-sent events; here for the schema and for servers that cannot stream."""

    @documented(
        "Follow the events of a task",
        STREAM,
        query=(AFTER,),
        media_type="text/event-stream",
        headers=("Last-Event-ID",),
        also=(204,),
    )
    def get(self, request: Request, task_id: str) -> Response:
        raise NotReady("This server cannot stream.", hint="Ask the web process, or read /events with ?wait=.")
