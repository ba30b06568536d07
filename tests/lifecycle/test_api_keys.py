"""API keys: shown once, kept as a digest, limited, revoked, expired."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from gateway.errors import InvalidInput, NotAllowed, NotFound, WorkspaceNotFound
from lifecycle.actors import Actor
from lifecycle.api_key_manager import ApiKeyManager
from lifecycle.models import ApiKey
from tests import make

pytestmark = pytest.mark.django_db
manager = ApiKeyManager()


def test_a_key_stands_for_its_actor():
    make.a_workspace("User_001")
    key = manager.create("ci", workspaces=["USER_001"], scopes=["read", "work", "read"])

    prefix = key.split("_")[1]
    known = Actor.limited("key:ci", ["read", "work"], ["user_001"], key_prefix=prefix)
    assert manager.authenticate(key) == known


def test_a_key_may_read_and_submit_everywhere_unless_it_says_otherwise():
    actor = manager.authenticate(manager.create("ci"))

    assert (actor.scopes, actor.workspaces) == ({"read", "submit"}, None)


def test_the_secret_is_kept_nowhere():
    key = manager.create("ci")
    kind, prefix, secret = key.split("_", 2)

    row = ApiKey.objects.get()
    assert (kind, row.prefix) == ("gk", prefix)
    assert len(secret) >= 43
    assert all(secret not in str(value) for value in row.__dict__.values())
    assert secret not in str(row)


def test_two_keys_differ():
    assert manager.create("a") != manager.create("a")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1] + ("x" if key[-1] != "x" else "y"),
        lambda key: key + "x",
        lambda key: key.upper(),
        lambda key: key.removeprefix("gk_"),
        lambda key: "gk_" + key.split("_", 2)[1],
        lambda key: "gk_" + key.split("_", 2)[1] + "_",
        lambda key: "sk_" + key.split("_", 1)[1],
        lambda key: "gk_00000000_" + key.split("_", 2)[2],
        lambda key: "",
        lambda key: "gk_",
        lambda key: "gk_\x00_x",
        lambda key: "gk_\ud800_x",
        lambda key: key + "\ud800",
        lambda key: "é" * 10_000,
    ],
)
def test_a_wrong_key_is_nobody(spoil):
    assert manager.authenticate(spoil(manager.create("ci"))) is None


def test_a_revoked_key_is_nobody_and_stays_so():
    key = manager.create("ci")
    other = manager.create("other")
    prefix = key.split("_")[1]

    first = manager.revoke(prefix)

    assert manager.authenticate(key) is None
    assert manager.authenticate(other) is not None
    assert manager.revoke(f"gk_{prefix}").revoked_at == first.revoked_at
    assert manager.revoke(key).pk == first.pk


@pytest.mark.parametrize("prefix", ["nothing", "", "gk_", "\x00", "\ud800"])
def test_an_unknown_prefix_is_not_found(prefix):
    with pytest.raises(NotFound):
        manager.revoke(prefix)


def test_a_key_ends_with_its_days():
    key = manager.create("ci", expires_days=2)

    with time_machine.travel(timezone.now() + timedelta(days=1, hours=23)):
        assert manager.authenticate(key) is not None
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        assert manager.authenticate(key) is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["read", "root"]}, "scopes"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"expires_days": 0}, "expires_days"),
        ({"expires_days": 36_501}, "expires_days"),
        ({"expires_days": "7"}, "expires_days"),
    ],
    ids=str,
)
def test_a_bad_field_is_refused_by_name(fields, field):
    with pytest.raises(InvalidInput) as refused:
        manager.create(**{"name": "ci"} | fields)

    assert refused.value.errors[0]["field"] == field
    assert not ApiKey.objects.exists()


def test_a_key_is_not_limited_to_a_workspace_that_is_not_there():
    with pytest.raises(WorkspaceNotFound):
        manager.create("ci", workspaces=["nowhere"])


def test_a_key_limited_to_no_workspace_sees_none():
    actor = manager.authenticate(manager.create("ci", workspaces=[]))

    assert actor is not None
    assert actor.workspaces == frozenset()


@pytest.mark.parametrize(
    "verb", [lambda who: manager.create("x", actor=who), lambda who: manager.revoke("x", actor=who)]
)
def test_only_an_administrator_makes_and_revokes_keys(verb):
    with pytest.raises(NotAllowed, match="'admin'"):
        verb(Actor.limited("key", ["read", "submit", "work"], None))
