"""``/workspaces``"""

from __future__ import annotations

from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle.api.idempotency import idempotent
from lifecycle.api.schema import PAGING, documented, page_of, shape
from lifecycle.api.views import LIST_FILTERS, ApiView, Query, page_response, parsed
from lifecycle.workspace_manager import WorkspaceDict, WorkspaceManager


class NewWorkspace(serializers.Serializer):
    """The body of POST /workspaces."""

    id = serializers.CharField()
    title = serializers.CharField(required=False, allow_blank=True)
    quota_bytes = serializers.IntegerField(required=False, allow_null=True)
    max_running = serializers.IntegerField(required=False)
    metadata = serializers.DictField(required=False)


class ChangedWorkspace(serializers.Serializer):
    """The body of PATCH /workspaces/{id}; what is left out stays."""

    title = serializers.CharField(required=False, allow_blank=True)
    quota_bytes = serializers.IntegerField(required=False, allow_null=True)
    max_running = serializers.IntegerField(required=False)
    metadata = serializers.DictField(required=False)


class WorkspacesView(ApiView):
    """All workspaces."""

    @documented("List the workspaces", page_of(WorkspaceDict), query=PAGING)
    def get(self, request: Request) -> Response:
        query = Query(request, LIST_FILTERS)
        return page_response(WorkspaceManager().list_workspaces(actor=self.actor, **query.list_filters()))

    @documented(
        "Create a workspace",
        shape(WorkspaceDict),
        body=NewWorkspace,
        status=201,
        also=(409,),
        example={"id": "user_001", "title": "Anna"},
        headers=("Idempotency-Key",),
    )
    @idempotent
    def post(self, request: Request) -> Response:
        made = WorkspaceManager().create_workspace(actor=self.actor, **parsed(NewWorkspace, request))
        return Response(
            made, status=status.HTTP_201_CREATED, headers={"Location": f"/api/v1/workspaces/{made['id']}"}
        )


class WorkspaceView(ApiView):
    """One workspace."""

    write_scope = "admin"

    @documented("Get a workspace", shape(WorkspaceDict))
    def get(self, request: Request, workspace_id: str) -> Response:
        return Response(WorkspaceManager().get_workspace(workspace_id, actor=self.actor))

    @documented("Change a workspace", shape(WorkspaceDict), body=ChangedWorkspace)
    def patch(self, request: Request, workspace_id: str) -> Response:
        changes = parsed(ChangedWorkspace, request)
        return Response(WorkspaceManager().update_workspace(workspace_id, actor=self.actor, **changes))


class ArchiveWorkspaceView(ApiView):
    """POST /workspaces/{id}/archive"""

    write_scope = "admin"

    @documented("Archive a workspace", shape(WorkspaceDict), also=(409,))
    def post(self, request: Request, workspace_id: str) -> Response:
        return Response(WorkspaceManager().archive_workspace(workspace_id, actor=self.actor))


class RestoreWorkspaceView(ApiView):
    """POST /workspaces/{id}/restore"""

    write_scope = "admin"

    @documented("Restore a workspace", shape(WorkspaceDict), also=(409,))
    def post(self, request: Request, workspace_id: str) -> Response:
        return Response(WorkspaceManager().restore_workspace(workspace_id, actor=self.actor))
