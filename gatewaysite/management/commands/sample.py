"""`manage.py sample`: submits the sample task and follows it in the terminal."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from gateway.client.words import Words, language
from gateway.errors import GatewayError
from gatewaysite.sample import follow, submit_sample
from lifecycle.installation import require_migrated


class Command(BaseCommand):
    help = "Submit the sample task (data_analyst on the shipped sales table) and follow it."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        words = Words(language(settings.TERMINAL_LANGUAGE))
        try:
            require_migrated()
            code = follow(submit_sample(), Console(), words)
        except GatewayError as exc:
            raise CommandError(str(exc)) from None
        sys.exit(code)
