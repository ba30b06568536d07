"""Pausing concerns everybody, so only who may see everything may do it."""

import pytest

from executor.engine_manager import EngineManager
from gateway.errors import NotAllowed
from lifecycle.actors import Actor

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_an_admin_who_is_limited_to_workspaces_may_not_stop_the_engine(verb):
    limited = Actor.limited("key:team", ["admin", "read"], ["user_001"])

    with pytest.raises(NotAllowed, match="limited to workspaces"):
        getattr(EngineManager(), verb)(actor=limited)

    assert EngineManager().stats()["paused"] is False


def test_whoever_may_see_everything_pauses_and_resumes():
    whole = Actor.limited("key:ops", ["admin", "read"], None)

    assert EngineManager().pause(actor=whole)["paused_by"] == "key:ops"
    assert EngineManager().resume(actor=whole)["paused"] is False
