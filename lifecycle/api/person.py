"""Who is behind a request that did not come through Django's middleware: a stream, long poll or socket."""

from __future__ import annotations

from http.cookies import SimpleCookie
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from gateway.errors import NotSignedIn
from lifecycle.actors import Actor
from lifecycle.api.sign_in import actor_of_header, actor_of_user

Headers = dict[bytes, bytes]


def actor_of_scope(scope: dict[str, Any]) -> Actor:
    """The actor of an ASGI scope, by key or by session; raises ``NotSignedIn`` or ``NotAllowed``."""
    headers: Headers = dict(scope["headers"])
    address = str((scope.get("client") or [""])[0])
    actor = actor_of_header(headers.get(b"authorization", b"").decode("latin1"), address)
    return actor if actor is not None else actor_of_cookie(headers.get(b"cookie", b""))


def actor_of_cookie(cookie: bytes) -> Actor:
    """The actor of the admin's session that the cookie names."""
    cookies: SimpleCookie = SimpleCookie()
    cookies.load(cookie.decode("latin1"))
    morsel = cookies.get(settings.SESSION_COOKIE_NAME)
    if morsel is None:
        raise NotSignedIn("Nobody is signed in.")
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(morsel.value)
    return actor_of_user(get_user(request))
