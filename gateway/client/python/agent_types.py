"""The verbs on agent types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from gateway.client.python.paging import PAGE_ROWS, every
from gateway.client.python.transport import Call, Transport, segment
from gateway.client.python.types import AgentType, AgentVersion
from gateway.page import Page


class AgentTypeVerbs:
    """Look up agent types."""

    _http: Transport

    def get_agent_type(self, name: str) -> AgentType:
        """The agent type; raise ``AgentTypeNotFound`` if there is none."""
        return cast("AgentType", self._http.json(Call("GET", _path(name))))

    def list_agent_types(self, *, limit: int = 50, cursor: str | None = None) -> Page[AgentType]:
        """The agent types; at most ``limit`` (1 to 200) a page, whose ``next_cursor`` leads on."""
        return Page(*self._http.page("/agent-types", {}, limit, cursor))

    def iterate_agent_types(self) -> Iterator[AgentType]:
        """All agent types, asked for page by page."""
        return every(lambda cursor: self.list_agent_types(limit=PAGE_ROWS, cursor=cursor))

    def list_versions(self, name: str, *, limit: int = 50, cursor: str | None = None) -> Page[AgentVersion]:
        """The versions of an agent type, newest first; at most ``limit`` (1 to 200) a page."""
        return Page(*self._http.page(_path(name, "/versions"), {}, limit, cursor))

    def iterate_versions(self, name: str) -> Iterator[AgentVersion]:
        """All versions of an agent type, newest first, asked for page by page."""
        return every(lambda cursor: self.list_versions(name, limit=PAGE_ROWS, cursor=cursor))


def _path(name: str, rest: str = "") -> str:
    return f"/agent-types/{segment(name, 'agent_type')}{rest}"
