"""`manage.py create_api_key NAME`: makes a key and prints it, alone, on stdout."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gateway.errors import GatewayError
from lifecycle.api_key_manager import DEFAULT_SCOPES, ApiKeyManager
from lifecycle.installation import require_migrated


class Command(BaseCommand):
    help = "Make an API key and print it. It cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what the key is for")
        parser.add_argument(
            "--workspace",
            action="append",
            metavar="ID",
            help="limit it to this workspace; may be given several times (default: all)",
        )
        parser.add_argument(
            "--scopes",
            default=",".join(DEFAULT_SCOPES),
            help="from read, submit, work, admin, with commas between (default: %(default)s)",
        )
        parser.add_argument(
            "--expires-days", type=int, metavar="N", help="days until it expires (default: never)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        scopes = [scope.strip() for scope in options["scopes"].split(",") if scope.strip()]
        try:
            require_migrated()
            key = ApiKeyManager().create(
                options["name"],
                workspaces=options["workspace"],
                scopes=scopes,
                expires_days=options["expires_days"],
            )
        except GatewayError as exc:
            raise CommandError(str(exc)) from None
        self.stdout.write(key)
