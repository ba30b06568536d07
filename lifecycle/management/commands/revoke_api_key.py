"""`manage.py revoke_api_key PREFIX`: makes a key useless from now on."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gateway.errors import GatewayError
from lifecycle.api_key_manager import ApiKeyManager
from lifecycle.installation import require_migrated


class Command(BaseCommand):
    help = "Revoke an API key by its prefix (the part after gk_)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prefix", help="the key's prefix, e.g. a1b2c3d4 of gk_a1b2c3d4_…")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            require_migrated()
            key = ApiKeyManager().revoke(options["prefix"])
        except GatewayError as exc:
            raise CommandError(str(exc)) from None
        self.stdout.write(f"Revoked {key}.")
