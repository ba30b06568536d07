"""The client: every verb of a Gateway server as a method."""

from __future__ import annotations

from typing import Self

from gateway.client.python.agent_types import AgentTypeVerbs
from gateway.client.python.engine import EngineVerbs
from gateway.client.python.files import FileVerbs
from gateway.client.python.profile import resolve
from gateway.client.python.tasks import TaskVerbs
from gateway.client.python.traces import TraceVerbs
from gateway.client.python.transport import Transport
from gateway.client.python.workspaces import WorkspaceVerbs

TIMEOUT_SECONDS = 30.0
RETRIES = 4
PATIENCE_SECONDS = 300.0


class GatewayClient(TraceVerbs, TaskVerbs, WorkspaceVerbs, FileVerbs, AgentTypeVerbs, EngineVerbs):
    """Talks to one Gateway server; threads may share it.

    ``base_url`` and ``api_key`` default to ``GATEWAY_URL`` and ``GATEWAY_API_KEY`` (or ``GATEWAY_TOKEN``),
    then to what `gateway login` saved, then to the installation on this machine. ``timeout`` seconds bound
    each answer, ``retries`` how often a request is repeated where that is safe, ``patience`` how many seconds
    ``wait`` and ``stream_events`` go on while the server is away. Raises ``NotSignedIn`` without a key.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        *,
        retries: int = RETRIES,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.server = resolve(base_url, api_key)
        self.patience = patience
        self._http = Transport(self.server, timeout=timeout, retries=retries)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"GatewayClient({self.server.url!r})"
