"""Daphne, with what it lacks for large bodies and slow readers.

Daphne reads a request's whole body into memory once it is on disk, and takes answers without end for a client
that does not read them: either costs as much memory as the file is large.
"""

from __future__ import annotations

import asyncio
import io
from typing import Any

import daphne.server
from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.server import Server
from django.conf import settings

from gatewaysite.bodies import BODY, BODY_SIZE

PATIENCE = 4
"""How many times the largest body is read on, though not kept, so that its sender can be answered."""


class Reader:
    """The client's end of a connection, as a producer sees it: ``ready`` while it reads what is sent."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.ready.set()

    def pauseProducing(self) -> None:
        self.ready.clear()

    def resumeProducing(self) -> None:
        self.ready.set()

    def stopProducing(self) -> None:
        self.ready.set()  # it is gone: what is sent to it is dropped


class BoundedRequest(WebRequest):
    """A request whose body is kept up to the largest upload, and whose answer waits for its reader."""

    received = 0
    reader: Reader | None = None

    def handleContentChunk(self, data: bytes) -> None:
        most = settings.GATEWAY_MAX_UPLOAD_MB * 1024 * 1024
        self.received += len(data)
        if self.received <= most:
            super().handleContentChunk(data)
        elif self.received > PATIENCE * most and self.channel is not None:
            self.channel.loseConnection()  # it was never going to end

    async def drained(self) -> None:
        """Return once the client has read most of what was sent to it."""
        if self.finished or self.channel is None:
            return
        if self.reader is None:
            self.reader = Reader()
            self.registerProducer(self.reader, True)
        await self.reader.ready.wait()

    def finish(self) -> None:
        if self.reader is not None and self.channel is not None:
            self.unregisterProducer()
        super().finish()

    def connectionLost(self, reason: Any) -> None:
        if self.reader is not None:
            self.reader.stopProducing()
        super().connectionLost(reason)


class BoundedFactory(HTTPFactory):
    """Makes these requests."""

    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = BoundedRequest
        return protocol


daphne.server.HTTPFactory = BoundedFactory  # the name by which a server makes its factory


class BoundedServer(Server):
    """A server whose memory does not grow with what is sent to it, or not read from it."""

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        if isinstance(protocol, BoundedRequest):
            scope[BODY], scope[BODY_SIZE] = protocol.content, protocol.received
            protocol.content = io.BytesIO()  # what daphne reads into its queue
        return super().create_application(protocol, scope)

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Take one message from the application; returns when the client is ready for more."""
        await super().handle_reply(protocol, message)
        if isinstance(protocol, BoundedRequest) and message.get("more_body"):
            await protocol.drained()
