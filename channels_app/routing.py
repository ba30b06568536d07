"""The addresses of the sockets."""

from channels.routing import URLRouter
from django.urls import path, re_path

from channels_app import consumers

sockets = URLRouter(
    [
        path("ws/tasks/<str:key>", consumers.TaskSocket.as_asgi()),
        path("ws/traces/<str:key>", consumers.TraceSocket.as_asgi()),
        path("ws/workspaces/<str:key>", consumers.WorkspaceSocket.as_asgi()),
        re_path("", consumers.UnknownSocket.as_asgi()),
    ]
)
