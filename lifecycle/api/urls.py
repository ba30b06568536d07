"""The addresses of lifecycle's REST."""

from django.urls import path

from lifecycle.api import agent_types, files, traces, whoami, workspaces

urlpatterns = [
    path("workspaces", workspaces.WorkspacesView.as_view()),
    path("workspaces/<str:workspace_id>", workspaces.WorkspaceView.as_view()),
    path("workspaces/<str:workspace_id>/archive", workspaces.ArchiveWorkspaceView.as_view()),
    path("workspaces/<str:workspace_id>/restore", workspaces.RestoreWorkspaceView.as_view()),
    path("workspaces/<str:workspace_id>/files", files.FilesView.as_view()),
    path("workspaces/<str:workspace_id>/files/<path:path>", files.FileView.as_view()),
    path("traces", traces.TracesView.as_view()),
    path("traces/<str:trace_id>", traces.TraceView.as_view()),
    path("traces/<str:trace_id>/close", traces.CloseTraceView.as_view()),
    path("traces/<str:trace_id>/spans", traces.SpansView.as_view()),
    path("agent-types", agent_types.AgentTypesView.as_view()),
    path("agent-types/<str:name>", agent_types.AgentTypeView.as_view()),
    path("agent-types/<str:name>/versions", agent_types.AgentVersionsView.as_view()),
    path("whoami", whoami.WhoamiView.as_view()),
]
