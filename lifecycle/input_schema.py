"""Whether a task's input is what its agent type takes: the type's ``input_schema``, a JSON Schema."""

from __future__ import annotations

from typing import Any

import jsonschema
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY

from gateway.errors import InvalidInput, NotReady

MAX_PROBLEMS = 50


def check(value: Any, schema: dict[str, Any], agent_type: str) -> None:
    """Raise ``InvalidInput`` naming every problem of ``value``; ``NotReady`` if the schema itself has one."""
    if not schema:
        return
    value = {} if value is None else value  # no input at all is an input without fields
    # With a registry of its own it never fetches a schema from the network.
    validator = jsonschema.validators.validator_for(schema)(schema, registry=EMPTY_REGISTRY)
    try:
        problems = [
            {"field": ".".join(["input", *map(str, problem.absolute_path)]), "message": problem.message[:500]}
            for problem in validator.iter_errors(value)
        ]
    except Unresolvable as exc:
        raise NotReady(
            f"The input_schema of the agent type '{agent_type}' refers to {exc.ref!r}, which is not in it.",
            hint="Mend its file in config/agents and run `python manage.py config reload`.",
        ) from None
    if problems:
        first = problems[0]
        raise InvalidInput(
            f"{first['field']}: {first['message']}",
            hint="The agent type's input_schema says what it takes.",
            errors=problems[:MAX_PROBLEMS],
        )
