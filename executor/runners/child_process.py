"""One process with three pipes, whose end is known at once, whoever still holds the pipes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class _Protocol(asyncio.subprocess.SubprocessStreamProtocol):
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=2**16, loop=loop)
        self.exited = asyncio.Event()

    def process_exited(self) -> None:
        super().process_exited()
        self.exited.set()


class ChildProcess:
    """A process in a session of its own.

    Not ``asyncio.subprocess.Process``: its ``wait()`` returns only when all pipes are closed too, so a
    process that the child left in the background would keep a run alive that ended long ago.
    """

    def __init__(self, transport: asyncio.SubprocessTransport, protocol: _Protocol) -> None:
        self._transport = transport
        self._protocol = protocol
        assert protocol.stdout is not None  # noqa: S101 - it was started with three pipes
        assert protocol.stderr is not None  # noqa: S101
        self.pid: int = transport.get_pid()
        self.output: asyncio.StreamReader = protocol.stdout
        self.errors: asyncio.StreamReader = protocol.stderr

    @classmethod
    async def start(cls, *argv: str, pass_fds: list[int], cwd: Path, env: Mapping[str, str]) -> ChildProcess:
        """Start ``argv``; raises ``OSError`` if that is impossible."""
        loop = asyncio.get_running_loop()
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
        transport, protocol = await loop.subprocess_exec(
            lambda: _Protocol(loop),
            *argv,
            pass_fds=pass_fds,
            start_new_session=True,
            cwd=cwd,
            env=env,
            **pipes,
        )
        return cls(transport, protocol)

    async def ended(self) -> int:
        """Wait until the process itself has ended; returns its exit code, negative for a signal."""
        await self._protocol.exited.wait()
        code = self._transport.get_returncode()
        assert code is not None  # noqa: S101 - it has exited
        return code

    def send(self, line: bytes) -> None:
        """Write to its stdin; a process that is gone hears nothing."""
        if self._protocol.stdin is not None:
            self._protocol.stdin.write(line)

    def close(self) -> None:
        """Close our ends of the pipes."""
        self._transport.close()
