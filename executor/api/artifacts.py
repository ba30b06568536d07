"""``/tasks/{id}/artifacts``"""

from __future__ import annotations

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from executor.artifact_dict import ArtifactDict
from executor.task_manager import TaskManager
from lifecycle.api.files import BINARY, AnyAnswer, download
from lifecycle.api.schema import documented, page_of
from lifecycle.api.views import ApiView


class ArtifactsView(ApiView):
    """The files that a task produced."""

    @documented("List the files that a task produced", page_of(ArtifactDict))
    def get(self, request: Request, task_id: str) -> Response:
        items = TaskManager().list_artifacts(task_id, actor=self.actor)
        return Response({"items": items, "next_cursor": None})


class ArtifactView(ApiView):
    """One of them, as a download."""

    content_negotiation_class = AnyAnswer

    @documented("Download one of them", BINARY, media_type="application/octet-stream", also=(304,))
    def get(self, request: Request, task_id: str, artifact_id: str) -> HttpResponseBase:
        kept, file = TaskManager().open_artifact(task_id, artifact_id, actor=self.actor)
        return download(request, file, kept["path"].rpartition("/")[2], kept["sha256"], kept["media_type"])
