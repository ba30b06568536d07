"""The verbs on API keys: make, revoke, recognise."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from gateway.errors import InvalidInput, NotFound
from lifecycle import input_rules, workspace_manager
from lifecycle.actors import SCOPES, Actor, local_actor
from lifecycle.models import ApiKey

if TYPE_CHECKING:
    from collections.abc import Iterable

ALPHABET = string.ascii_lowercase + string.digits
DEFAULT_SCOPES = ("read", "submit")
NOTE_USE_EVERY = timedelta(minutes=1)


class ApiKeyManager:
    """Keys for programs. A key is shown once, when it is made; only its digest is kept."""

    def create(
        self,
        name: str,
        *,
        workspaces: Iterable[str] | None = None,
        scopes: Iterable[str] = DEFAULT_SCOPES,
        expires_days: int | None = None,
        actor: Actor | None = None,
    ) -> str:
        """Make a key and return it. ``workspaces`` None: all; unknown ones raise ``WorkspaceNotFound``."""
        actor = actor or local_actor()
        actor.require("admin")
        wanted = list(dict.fromkeys(scopes))
        unknown = sorted(set(wanted) - set(SCOPES))
        if unknown or not wanted:
            raise InvalidInput(
                f"scopes: {', '.join(unknown) or 'none given'}.",
                hint=f"Choose from {', '.join(SCOPES)}.",
                errors=[{"field": "scopes", "message": f"choose from {', '.join(SCOPES)}"}],
            )
        limited = None
        if workspaces is not None:
            limited = [workspace_manager.find(workspace, actor).id for workspace in workspaces]
        days = (
            None
            if expires_days is None
            else input_rules.whole(expires_days, "expires_days", low=1, high=36500)
        )
        secret = secrets.token_urlsafe(32)
        key = ApiKey.objects.create(
            name=input_rules.text(name, "name", maximum=100, required=True),
            prefix="".join(secrets.choice(ALPHABET) for _ in range(8)),
            digest=_digest(secret),
            scopes=wanted,
            workspaces=limited,
            created_by=actor.name,
            expires_at=timezone.now() + timedelta(days=days) if days else None,
        )
        return f"gk_{key.prefix}_{secret}"

    def revoke(self, prefix: str, *, actor: Actor | None = None) -> ApiKey:
        """Make the key with this prefix useless from now on; revoking it again changes nothing."""
        (actor or local_actor()).require("admin")
        bare = prefix.removeprefix("gk_").split("_")[0]
        key = _with_prefix(bare)
        if key is None:
            raise NotFound(
                f"There is no API key with the prefix '{prefix}'.", hint="The prefix is the part after gk_."
            )
        ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
        key.refresh_from_db()
        return key

    def authenticate(self, key: str) -> Actor | None:
        """The actor that ``key`` stands for; None if it is wrong, revoked or expired."""
        kind, _, rest = key.partition("_")
        prefix, _, secret = rest.partition("_")
        row = _with_prefix(prefix) if kind == "gk" else None
        if row is None or not hmac.compare_digest(row.digest, _digest(secret)):
            return None
        if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= timezone.now()):
            return None
        self._note_use(row)
        return Actor.limited(f"key:{row.name}", row.scopes, row.workspaces, key_prefix=row.prefix)

    def _note_use(self, row: ApiKey) -> None:
        now = timezone.now()
        if row.last_used_at is None or now - row.last_used_at > NOTE_USE_EVERY:
            ApiKey.objects.filter(pk=row.pk).update(last_used_at=now)


def _with_prefix(prefix: str) -> ApiKey | None:
    # Whatever someone sends as a key comes here: no database is asked for what it cannot even store.
    if not set(prefix) <= set(ALPHABET):
        return None
    # Every request asks this: as plain SQL it takes a third of the time.
    rows = ApiKey.objects.raw("SELECT * FROM lifecycle_apikey WHERE prefix = %s", [prefix])
    return next(iter(rows), None)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
