"""The peer of `fanout`: a bare server that broadcasts one frame for each line on its standard input."""

from __future__ import annotations

import asyncio
import sys
import time

from websockets.asyncio.server import ServerConnection, broadcast, serve

FRAME = (
    '{"type":"events","events":[{"seq":3,"type":"log","data":{"level":"info","message":"tick","step":null},'
    '"attempt":1,"at":"2026-03-01T08:00:00.000000Z"}]}'
)


async def main(port: int) -> None:
    """Serve until the standard input ends."""
    connected: set[ServerConnection] = set()

    async def follow(connection: ServerConnection) -> None:
        connected.add(connection)
        try:
            await connection.wait_closed()
        finally:
            connected.discard(connection)

    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    async with serve(follow, "127.0.0.1", port, compression=None, backlog=1000):
        print("ready", flush=True)
        while await reader.readline():
            began = time.time()
            broadcast(connected, FRAME)
            print(began, flush=True)


asyncio.run(main(int(sys.argv[1])))
