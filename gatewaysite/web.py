"""`python -m gatewaysite.web HOST PORT PARENT_PID`: daphne, dying with the supervisor that started it."""

from __future__ import annotations

import signal
import sys

from daphne.cli import CommandLineInterface

from executor import kernel


def main(host: str, port: str, parent: str) -> None:
    kernel.die_with_parent(int(parent), signal.SIGTERM)
    arguments = ["-v", "0", "-b", host, "-p", port, "--no-server-name", "gatewaysite.asgi:application"]
    CommandLineInterface().run(arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
