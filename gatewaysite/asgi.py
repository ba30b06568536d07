"""The web process: daphne serves this application."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gatewaysite.settings")

from django.core.asgi import get_asgi_application
from django.db import connections

application = get_asgi_application()

# Under ASGI each request has a thread of its own, so a connection kept after it would never be used again.
connections.settings["default"]["CONN_MAX_AGE"] = 0
