"""The command ``gateway``."""

from gateway.client.python.cli.app import main

__all__ = ["main"]
