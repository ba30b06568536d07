"""The server that the commands talk to."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.client.python.cli.speech import say
from gateway.client.python.client import GatewayClient

RETRIES = 2

Json = Annotated[bool, typer.Option("--json", help=say("Print JSON."))]


class Address:
    """What ``--url`` says."""

    url: str | None = None


def connect() -> GatewayClient:
    """A client for the server that was named, or is known."""
    return GatewayClient(Address.url, retries=RETRIES)
