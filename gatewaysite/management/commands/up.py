"""`manage.py up`: everything on one machine."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from gateway.client.words import Words, language
from gateway.errors import GatewayError
from gatewaysite.supervisor import Supervisor


class Command(BaseCommand):
    help = "Run Gateway: web and worker under one supervisor. Migrates first; Ctrl-C stops everything."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
        parser.add_argument(
            "--workers",
            type=int,
            default=settings.GATEWAY_WORKER_PROCESSES,
            help="worker processes (default: %(default)s)",
        )
        parser.add_argument("--no-demo", action="store_true", help="do not run the sample on the first start")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["port"] <= 65535:
            raise CommandError(f"--port is {options['port']}, which is no port. Use 1 to 65535.")
        if options["workers"] < 1:
            raise CommandError(f"--workers is {options['workers']}. Use at least 1.")
        supervisor = Supervisor(
            host=options["host"],
            port=options["port"],
            processes=options["workers"],
            demo=not options["no_demo"],
            console=Console(),
            words=Words(language(settings.TERMINAL_LANGUAGE)),
        )
        try:
            code = supervisor.run()
        except GatewayError as exc:
            raise CommandError(str(exc)) from None
        sys.exit(code)
