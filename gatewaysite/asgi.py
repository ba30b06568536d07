"""The web process: daphne serves this application."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gatewaysite.settings")

import django

django.setup()

from channels_app import live
from channels_app.routing import sockets
from gatewaysite.pooled_handler import PooledHandler, Receive, Scope, Send

pages = PooledHandler()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Sockets, streams and long polls on the loop; everything else in the database threads."""
    if scope["type"] == "websocket":
        await sockets(scope, receive, send)
    elif scope["type"] == "http":
        await (live.serve if live.serves(scope) else pages)(scope, receive, send)
