"""`manage.py config check|reload`: the agent types' files."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gateway.errors import GatewayError
from lifecycle.agent_type_manager import AgentTypeManager
from lifecycle.installation import require_migrated


class Command(BaseCommand):
    help = "Check the files of GATEWAY_CONFIG_DIR/agents, or import those that changed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["check", "reload"])

    def handle(self, *args: Any, **options: Any) -> None:
        manager = AgentTypeManager()
        try:
            if options["action"] == "check":
                reports = manager.check_files()
            else:
                require_migrated()
                reports = manager.import_files(look_again=True)
        except GatewayError as exc:
            raise CommandError(str(exc)) from None
        for report in reports:
            if report.outcome == "refused":
                self.stderr.write(self.style.ERROR(f"✗ {report.message}"))
            else:
                version = f"version {report.version}, {report.outcome}" if report.version else "ok"
                self.stdout.write(f"✓ {report.name}: {version}")
        if any(report.outcome == "refused" for report in reports):
            sys.exit(1)
