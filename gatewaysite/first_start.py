"""What a fresh data directory gets: an administrator and an API key, each made once and shown once."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction

from lifecycle.actors import SCOPES, SYSTEM
from lifecycle.api_key_manager import ApiKeyManager
from lifecycle.models import ApiKey

ADMIN = "admin"


@dataclass(frozen=True)
class Credentials:
    """What was made just now; shown once, and kept in files of the data directory (0600)."""

    admin_password: str
    api_key: str


def password_file() -> Path:
    """Where the administrator's first password is kept."""
    return Path(settings.GATEWAY_DATA_DIR) / "admin-password"


def key_file() -> Path:
    """Where the first API key is kept; the SDK reads it on the same machine."""
    return Path(settings.GATEWAY_DATA_DIR) / "api-key"


def make_credentials() -> Credentials | None:
    """Make both if the installation has neither a user nor a key; None if it has."""
    users = get_user_model()
    with transaction.atomic():
        if users.objects.exists() or ApiKey.objects.exists():
            return None
        password = secrets.token_urlsafe(16)
        users.objects.create_superuser(ADMIN, password=password)
        key = ApiKeyManager().create("first start", scopes=SCOPES, actor=SYSTEM)
        # Written before the rows are committed: a password that nobody knows would lock everyone out.
        _keep(password_file(), password)
        _keep(key_file(), key)
    return Credentials(password, key)


def _keep(path: Path, secret: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
    draft.rename(path)
