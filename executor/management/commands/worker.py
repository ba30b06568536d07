"""`manage.py worker`: claims due tasks and runs them."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from executor import kernel
from gateway.errors import NotReady
from lifecycle.agent_type_manager import AgentTypeManager
from lifecycle.installation import require_migrated


class Command(BaseCommand):
    help = "Run tasks: a watchdog over a Django-Q2 cluster and a clock. SIGTERM drains."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--processes",
            type=int,
            default=settings.GATEWAY_WORKER_PROCESSES,
            help="worker processes (default: %(default)s)",
        )
        parser.add_argument(
            "--parent", type=int, default=None, help="drain when this process (our parent) dies"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        from executor.watchdog import Watchdog

        # Told to stop before the watchdog listens: nothing runs yet, so there is nothing to drain.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        if options["parent"] is not None:
            kernel.die_with_parent(options["parent"], signal.SIGTERM)
        if options["processes"] < 1:
            raise CommandError("--processes must be at least 1.")
        try:
            require_migrated()
        except NotReady as exc:
            raise CommandError(str(exc)) from None
        for report in AgentTypeManager().import_files(look_again=True):
            if report.outcome == "refused":
                self.stderr.write(f"agent type {report.name} refused: {report.message}")
        connections.close_all()
        sys.stdout.flush()
        os._exit(Watchdog(options["processes"]).run())
