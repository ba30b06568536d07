"""`manage.py doctor`: checks the installation and says what to do."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from rich.console import Console
from rich.text import Text

from gateway.client.words import Words, language
from gatewaysite.doctor import examine

MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


class Command(BaseCommand):
    help = "Check the installation: each problem comes with its cure. Exits 1 if there is one."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console()
        words = Words(language(settings.TERMINAL_LANGUAGE))
        failed = False
        for finding in examine():
            mark, style = MARKS[finding.verdict]
            line = Text.assemble(
                (f"{mark} ", style), (words(finding.name), "bold"), ": ", words(finding.message)
            )
            console.print(line, soft_wrap=True)
            if finding.cure:
                console.print(Text(f"    → {words(finding.cure)}", style), soft_wrap=True)
            failed = failed or finding.verdict == "problem"
        sys.exit(1 if failed else 0)
