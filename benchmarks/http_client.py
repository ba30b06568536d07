"""Sends requests over a few kept-alive connections, in a process of its own; JSON in and out.

Standard input: ``{"port", "key", "clients", "requests": [[method, path, body], …]}``. Each connection takes
the next request as soon as it has the answer to its last. Answers: seconds for all, and a count by status.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any


async def main(plan: dict[str, Any]) -> None:
    """Send everything and print what came of it."""
    requests = iter([_bytes(plan, *one) for one in plan["requests"]])
    connections = [await asyncio.open_connection("127.0.0.1", plan["port"]) for _ in range(plan["clients"])]
    statuses: Counter[str] = Counter()
    began = time.perf_counter()
    await asyncio.gather(*[_talk(reader, writer, requests, statuses) for reader, writer in connections])
    print(json.dumps({"seconds": time.perf_counter() - began, "statuses": statuses}))


def _bytes(plan: dict[str, Any], method: str, path: str, body: str) -> bytes:
    content = body.encode()
    head = [
        f"{method} {path} HTTP/1.1",
        f"Host: 127.0.0.1:{plan['port']}",
        f"Authorization: Bearer {plan['key']}",
    ]
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*head, "Accept: application/json", "", ""]).encode() + content


async def _talk(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    requests: Iterator[bytes],
    statuses: Counter[str],
) -> None:
    for request in requests:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        statuses[head[9:12].decode()] += 1
    writer.close()


asyncio.run(main(json.load(sys.stdin)))
