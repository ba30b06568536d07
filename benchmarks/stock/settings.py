"""A minimal Django project. ``STOCK_FOLDER`` is where its database lies."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(os.environ["STOCK_FOLDER"])

SECRET_KEY = "nothing is served, so nothing is to be protected here"  # noqa: S105
INSTALLED_APPS = ["django_q"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "stock.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
Q_CLUSTER = {"name": "stock", "orm": "default"}
if "STOCK_WORKERS" in os.environ:
    Q_CLUSTER["workers"] = int(os.environ["STOCK_WORKERS"])  # type: ignore[assignment]
