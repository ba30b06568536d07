"""``python -m gateway.client.python.cli``: the command where it is not installed."""

from gateway.client.python.cli.app import main

main()
