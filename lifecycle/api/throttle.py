"""How many requests a caller may make: counted per key or user, else per address, by the minute."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from lifecycle.api.sign_in import KeyUser, address_of

WINDOW_SECONDS = 60


class KeyThrottle(BaseThrottle):
    """``GATEWAY_REQUESTS_PER_MINUTE`` in each web process; one number a caller, not a list of times."""

    def allow_request(self, request: Request, view: Any) -> bool:
        counter = f"requests:{_caller(request)}:{int(time.time() // WINDOW_SECONDS)}"
        cache.add(counter, 0, timeout=WINDOW_SECONDS)
        try:
            return cache.incr(counter) <= settings.GATEWAY_REQUESTS_PER_MINUTE
        except ValueError:  # it went out of the cache between the two calls
            return True

    def wait(self) -> float:
        return WINDOW_SECONDS - time.time() % WINDOW_SECONDS


def _caller(request: Request) -> str:
    user = request.user
    if isinstance(user, KeyUser):
        return user.actor.key_prefix or user.actor.name
    return str(user.pk or address_of(request))
