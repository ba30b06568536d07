"""Who calls: an API key, or the admin's session; plain functions for DRF, async views and sockets alike."""

from __future__ import annotations

from typing import Any

from django.core.cache import cache
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from gateway.errors import NotAllowed, NotSignedIn, TooManyRequests
from lifecycle.actors import Actor
from lifecycle.api_key_manager import ApiKeyManager

FAILURES_PER_MINUTE = 20
"""Wrong keys from one address before it has to wait."""


class KeyUser:
    """What DRF calls the user of a request with a key."""

    is_authenticated = True
    is_anonymous = False

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.pk = actor.name

    def __str__(self) -> str:
        return self.actor.name


class KeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer gk_…``."""

    def authenticate(self, request: Request) -> tuple[KeyUser, str] | None:
        actor = actor_of_header(request.headers.get("Authorization", ""), address_of(request))
        return None if actor is None else (KeyUser(actor), actor.name)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class AdminSession(SessionAuthentication):
    """The admin's session, with CSRF."""


class HasScope(BasePermission):
    """The actor has the scope that the view's method needs."""

    def has_permission(self, request: Request, view: Any) -> bool:
        actor = actor_of(request)
        actor.require(view.scope_of(request.method))
        return True


def actor_of_header(header: str, address: str) -> Actor | None:
    """The actor of an Authorization header; None without one. Raises ``NotSignedIn`` for a bad key."""
    if not header:
        return None
    kind, _, key = header.partition(" ")
    if kind.lower() != "bearer":
        raise NotSignedIn(f"The authorization scheme '{kind[:20]}' is not known.")
    # A right key is let in whatever happened before: behind a proxy all share one address, and somebody's
    # wrong keys must not lock the others out. Guessing is hopeless anyway, a key has 256 random bits.
    actor = ApiKeyManager().authenticate(key.strip())
    if actor is None:
        if _failures(address) > FAILURES_PER_MINUTE:
            raise TooManyRequests("Too many wrong keys from this address.", retry_after=60)
        raise NotSignedIn("The API key is wrong, expired or revoked.")
    return actor


def _failures(address: str) -> int:
    """How many wrong keys came from this address within a minute, with this one."""
    counter = f"wrong-keys:{address}"
    cache.add(counter, 0, timeout=60)
    try:
        return int(cache.incr(counter))
    except ValueError:  # it went out of the cache between the two calls
        return 1


def actor_of_user(user: Any) -> Actor:
    """The actor of a person who is signed in; raise ``NotSignedIn`` or ``NotAllowed``."""
    if not user.is_authenticated:
        raise NotSignedIn("Nobody is signed in.")
    if not user.is_active or not user.is_staff:
        raise NotAllowed(
            f"{user.get_username()} may not use the API.", hint="Ask an administrator for the right."
        )
    if user.is_superuser:
        return Actor(f"user:{user.get_username()}", kind="user")
    return Actor.limited(f"user:{user.get_username()}", ["read"], [], kind="user")


def actor_of(request: Request) -> Actor:
    """The actor of a DRF request that was authenticated."""
    user = request.user
    return user.actor if isinstance(user, KeyUser) else actor_of_user(user)


def address_of(request: HttpRequest | Request) -> str:
    """The caller's address as the socket has it; headers are not believed."""
    return str(request.META.get("REMOTE_ADDR", ""))


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema describes the key."""

    target_class = "lifecycle.api.sign_in.KeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer gk_…`"}
