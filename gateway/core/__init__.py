"""The door for Python code in the same installation: ``from gateway.core.executor import TaskManager``.

Sets Django up if nobody has: from any folder, with nothing around it. A fresh embedded database is made on
the way; one that lacks migrations is refused with the command that mends it.
"""

from __future__ import annotations

import os

import django
from django.apps import apps
from django.conf import settings


def _set_up() -> None:
    if apps.ready:
        return
    if settings.configured:
        django.setup()
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gatewaysite.settings")
    django.setup()
    from lifecycle.installation import ensure_ready

    ensure_ready()


_set_up()
