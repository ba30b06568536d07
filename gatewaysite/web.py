"""`python -m gatewaysite.web HOST PORT PARENT_PID`: daphne, dying with the supervisor that started it."""

from __future__ import annotations

import signal
import sys
from typing import Any

from daphne.cli import CommandLineInterface
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet import reactor as twisted_reactor
from twisted.internet import task

from executor import kernel
from gatewaysite.server import BoundedServer

reactor: Any = twisted_reactor  # its type does not know the methods of the reactor that runs
RESTARTING = 1012
FLUSH_SECONDS = 0.2
"""What the kernel needs to send the close frames before the process ends."""


class WebServer(BoundedServer):
    """Daphne, telling every socket to come back when it stops."""

    def run(self) -> None:
        """Serve until SIGTERM."""
        reactor.addSystemEventTrigger("before", "shutdown", self.close_sockets)
        super().run()

    def close_sockets(self) -> Any:
        """Close all sockets with 1012, which means: connect again and resume."""
        sockets = [one for one in self.connections if isinstance(one, WebSocketProtocol)]
        for socket in sockets:
            # Its sendClose() takes 1000 and 3000 to 4999 only, which is the rule for clients.
            socket.sendCloseFrame(code=RESTARTING)
        return task.deferLater(reactor, FLUSH_SECONDS if sockets else 0)


class Web(CommandLineInterface):
    """Daphne's command line with our server."""

    server_class = WebServer


def main(host: str, port: str, parent: str) -> None:
    kernel.die_with_parent(int(parent), signal.SIGTERM)
    arguments = ["-v", "0", "-b", host, "-p", port, "--no-server-name", "gatewaysite.asgi:application"]
    Web().run(arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
