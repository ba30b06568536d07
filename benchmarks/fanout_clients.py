"""N sockets in one process: prints "ready", then for each event when the last of them had it.

They know just enough of the protocol: the handshake, and that a frame with an event has its message in it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

MARK = b'"message":"tick"'
AT_ONCE = 20
"""Handshakes at the same time."""


class Round:
    """The event that is awaited."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._missing = count

    def got(self) -> None:
        """One socket has it."""
        self._missing -= 1
        if not self._missing:
            self._missing = self._count
            print(time.time(), flush=True)


class Client(asyncio.Protocol):
    """One socket."""

    def __init__(self, plan: dict[str, Any], awaited: Round) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._plan = plan
        self._round = awaited
        self._data = b""

    def connection_made(self, transport: Any) -> None:
        lines = [f"GET {self._plan['path']} HTTP/1.1", f"Host: 127.0.0.1:{self._plan['port']}"]
        lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
        lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", f"Authorization: Bearer {self._plan['key']}"]
        transport.write("\r\n".join([*lines, "", ""]).encode())

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self.ready.done():
            if not self._is_ready():
                return
            self.ready.set_result(None)
            self._data = b""
        for _ in range(self._data.count(MARK)):
            self._round.got()
            self._data = b""

    def _is_ready(self) -> bool:
        # Gateway tells the task's state once the socket has caught up; the bare server has nothing to tell.
        return (b'"state"' if self._plan["state"] else b"\r\n\r\n") in self._data

    def connection_lost(self, exc: Exception | None) -> None:
        sys.exit("A socket was closed.")


async def main(plan: dict[str, Any]) -> None:
    """Connect everyone and wait to be ended."""
    awaited = Round(plan["count"])
    places = asyncio.Semaphore(AT_ONCE)

    async def connect() -> None:
        async with places:
            make = lambda: Client(plan, awaited)  # noqa: E731
            _, client = await asyncio.get_running_loop().create_connection(make, "127.0.0.1", plan["port"])
            await client.ready

    await asyncio.gather(*[connect() for _ in range(plan["count"])])
    await asyncio.sleep(1)
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main(json.loads(sys.argv[1])))
