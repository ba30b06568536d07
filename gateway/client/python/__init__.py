"""The Python SDK: ``from gateway.client.python import GatewayClient``. Needs no Django."""

from gateway.client.python.client import GatewayClient
from gateway.client.python.streams import EventStream
from gateway.client.python.types import (
    AgentType,
    AgentVersion,
    Artifact,
    BulkResult,
    Event,
    EventPage,
    File,
    Span,
    SpanChanges,
    Stats,
    StoredFile,
    Task,
    TaskFilters,
    Trace,
    TraceFilters,
    WhoAmI,
    Workspace,
)
from gateway.page import Page

__all__ = [
    "AgentType",
    "AgentVersion",
    "Artifact",
    "BulkResult",
    "Event",
    "EventPage",
    "EventStream",
    "File",
    "GatewayClient",
    "Page",
    "Span",
    "SpanChanges",
    "Stats",
    "StoredFile",
    "Task",
    "TaskFilters",
    "Trace",
    "TraceFilters",
    "WhoAmI",
    "Workspace",
]
