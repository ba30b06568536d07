"""Errors: each has a code, an HTTP status and a cure, and needs neither Django nor the server."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import errors
from gateway.errors import Conflict, GatewayError, InvalidInput, NotFound, TaskNotFound

ROOT = Path(__file__).resolve().parents[2]
ERRORS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, GatewayError)]


def test_an_error_says_what_is_wrong_and_how_to_mend_it():
    error = Conflict("The trace is closed.", hint="Create another trace.", current_status="closed")

    assert str(error) == "The trace is closed. Create another trace."
    assert (error.message, error.hint) == ("The trace is closed.", "Create another trace.")
    assert error.data == {"current_status": "closed"}
    assert (error.code, error.status, error.errors, error.request_id) == ("conflict", 409, [], None)


def test_without_a_hint_it_says_what_is_wrong():
    assert str(InvalidInput("That is no number.")) == "That is no number."


def test_a_default_hint_can_be_replaced():
    assert "list_tasks" in TaskNotFound("There is none.").hint
    assert TaskNotFound("There is none.", hint="Look again.").hint == "Look again."


def test_errors_are_caught_by_their_kind():
    with pytest.raises(NotFound):
        raise TaskNotFound("There is none.")


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_explains_itself(kind):
    assert kind.__doc__
    assert kind.code
    assert 400 <= kind.status <= 599
    assert kind.code.replace("_", "").islower()
    error = kind("It went wrong.", errors=({"field": "a", "message": "b"},), request_id="r1")
    assert (error.errors, error.request_id) == ([{"field": "a", "message": "b"}], "r1")
    assert isinstance(error, Exception)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("not_found", 404),
        ("scope_missing", 403),
        ("conflict", 409),
        ("already_exists", 409),
        ("busy", 409),
        ("lease_lost", 409),
        ("quota_exceeded", 413),
        ("invalid", 422),
        ("not_ready", 503),
    ],
)
def test_codes_and_statuses_are_those_that_callers_were_promised(code, status):
    assert {kind.status for kind in ERRORS if kind.code == code} == {status}


@pytest.mark.parametrize("module", ["gateway.errors", "gateway.context"])
def test_they_need_nothing_but_the_standard_library(module):
    program = (
        f"import sys; before = set(sys.modules); import {module};"
        "new = {name.split('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {program}"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    assert done.stdout.strip() == "['gateway']"
