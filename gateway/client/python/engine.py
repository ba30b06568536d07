"""The verbs on the server as a whole."""

from __future__ import annotations

from typing import cast

from gateway.client.python.transport import Call, Transport
from gateway.client.python.types import Stats, WhoAmI


class EngineVerbs:
    """Who the key stands for, how the engine stands, pause and resume."""

    _http: Transport

    def whoami(self) -> WhoAmI:
        """Whom the key stands for, and what it may do."""
        return cast("WhoAmI", self._http.json(Call("GET", "/whoami")))

    def stats(self) -> Stats:
        """How many unfinished tasks stand where, since when the oldest waits, and who works."""
        return cast("Stats", self._http.json(Call("GET", "/stats")))

    def pause(self) -> Stats:
        """Start nothing any more, until ``resume``; what runs goes on. Needs the scope admin."""
        return cast("Stats", self._http.json(Call("POST", "/pause", repeatable=True)))

    def resume(self) -> Stats:
        """Start tasks again. Needs the scope admin."""
        return cast("Stats", self._http.json(Call("POST", "/resume", repeatable=True)))
