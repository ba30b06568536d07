"""Who does something: every verb has an actor, and every read is scoped to one."""

from __future__ import annotations

import getpass
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from gateway.errors import NotAllowed

if TYPE_CHECKING:
    from collections.abc import Iterable

Scope = Literal["read", "submit", "work", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "submit", "work", "admin")


@dataclass(frozen=True)
class Actor:
    """A person, an API key or a part of Gateway.

    ``name`` is what events and logs record. ``workspaces`` holds the ids (lower case) it is limited to;
    None means all.
    """

    name: str
    scopes: frozenset[str] = field(default_factory=lambda: frozenset(SCOPES))
    workspaces: frozenset[str] | None = None

    @classmethod
    def limited(cls, name: str, scopes: Iterable[str], workspaces: Iterable[str] | None) -> Actor:
        """An actor with these scopes, seeing these workspaces only (None: all)."""
        seen = None if workspaces is None else frozenset(workspace.lower() for workspace in workspaces)
        return cls(name, frozenset(scopes), seen)

    def may_see(self, workspace_id: str) -> bool:
        """Whether rows of this workspace exist for the actor at all."""
        return self.workspaces is None or workspace_id.lower() in self.workspaces

    def require(self, scope: Scope) -> None:
        """Raise ``NotAllowed`` unless the actor has ``scope``."""
        if scope not in self.scopes:
            raise NotAllowed(
                f"{self.name} lacks the scope '{scope}'.",
                hint=f"Use a key that was made with --scopes {scope}.",
            )


SYSTEM = Actor("system")


def local_actor() -> Actor:
    """Whoever runs this process on the machine itself; may do everything, as they own the data folder."""
    try:
        return Actor(f"local:{getpass.getuser()}")
    except (KeyError, OSError):  # a container's user id may have no name
        return Actor("local")
