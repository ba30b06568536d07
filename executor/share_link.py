"""Links that let whoever has them watch one task, read-only, until they expire."""

from __future__ import annotations

import time

from django.core import signing

SALT = "gateway.share"
DEFAULT_SECONDS = 7 * 24 * 3600


def make(task_id: str, seconds: int) -> str:
    """A token that shows task ``task_id`` for ``seconds`` from now."""
    return signing.dumps({"t": task_id, "e": int(time.time()) + seconds}, salt=SALT, compress=True)


def shows(token: str, task_id: str) -> bool:
    """Whether ``token`` is good for this task now."""
    try:
        told = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        return False
    return bool(told.get("t") == task_id and told.get("e", 0) > time.time())
