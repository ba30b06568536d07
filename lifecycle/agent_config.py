"""What an agent type's configuration may say (`config/agents/NAME.yaml`), and its checks."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

import jsonschema
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from gateway.errors import BadConfiguration
from lifecycle import input_rules
from lifecycle.ids import SLUG, SLUG_RULE

MAX_SECONDS = 30 * 24 * 3600
RetryCause = Literal["error", "timeout", "worker_lost"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Runner(_Part):
    """How a run is started: ``module:function``, in this Python or (plain functions) in another one."""

    kind: Literal["python"]
    entrypoint: str
    python: str | None = None

    @field_validator("entrypoint")
    @classmethod
    def _names_a_function(cls, value: str) -> str:
        module, colon, function = value.partition(":")
        if not colon or not all(part.isidentifier() for part in [*module.split("."), function]):
            raise ValueError("must be 'package.module:function'")
        return value


class Limits(_Part):
    """Limits of one type's runs; 0 means no limit of its own. Times are in seconds."""

    timeout_seconds: float = Field(600, ge=0, le=MAX_SECONDS)
    max_attempts: int = Field(3, ge=1, le=100)
    retry_on: list[RetryCause] = Field(default_factory=lambda: ["worker_lost"])  # type: ignore[arg-type,unused-ignore]
    retry_delay_seconds: float = Field(15, ge=0, le=MAX_SECONDS)
    max_running: int = Field(0, ge=0, le=1_000_000)
    grace_seconds: float = Field(10, ge=0, le=MAX_SECONDS)
    output_mb: int = Field(64, ge=0, le=1_000_000)


class FromEnvironment(_Part):
    """A value of ``env`` that is read from the operator's own environment when a run starts."""

    environment: str
    optional: bool = False
    """Leave it out when the operator has not set it, instead of failing with ``agent_not_configured``."""


def _titles(value: Any) -> Any:
    return {"en": value} if isinstance(value, str) else value


class AgentConfig(_Part):
    """One agent type's whole configuration."""

    name: str
    title: Annotated[dict[Literal["en", "zh-hans"], str], BeforeValidator(_titles)] = Field(
        default_factory=dict
    )
    description: str = ""
    runner: Runner
    limits: Limits = Limits()
    settings: dict[str, Any] = Field(default_factory=dict)
    env: dict[str, str | FromEnvironment] = Field(default_factory=dict)
    input_schema: dict[str, Any] = Field(default_factory=dict)
    enabled: bool = True

    @field_validator("name")
    @classmethod
    def _is_a_slug(cls, value: str) -> str:
        if not SLUG.fullmatch(value):
            raise ValueError(SLUG_RULE)
        return value

    @field_validator("input_schema")
    @classmethod
    def _is_a_schema(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            jsonschema.validators.validator_for(value).check_schema(value)
        except jsonschema.SchemaError as exc:
            raise ValueError(f"is not a JSON Schema: {exc.message}") from None
        return value


def parse(data: Any, source: str) -> AgentConfig:
    """The configuration in ``data``; raise ``BadConfiguration`` naming every problem at once."""
    if not isinstance(data, dict):
        raise BadConfiguration(f"{source}: must be a mapping with at least `name` and `runner`.")
    try:
        config = AgentConfig.model_validate(data)
    except ValidationError as exc:
        raise _refused(source, [_sentence(problem) for problem in exc.errors()]) from None
    unstorable = [
        {"field": str(key), "message": problem}
        for key, value in data.items()
        if (problem := input_rules.json_problem(value))
    ]
    if unstorable:
        raise _refused(source, unstorable)
    return config


def _refused(source: str, problems: list[dict[str, str]]) -> BadConfiguration:
    return BadConfiguration(
        f"{source}: " + "; ".join(f"{one['field']} {one['message']}" for one in problems),
        hint="Mend the file; until then the last good version stays in force.",
        errors=problems,
    )


def _sentence(problem: Any) -> dict[str, str]:
    path = [str(part) for part in problem["loc"]]
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path[-1], _known_keys(path[:-1]), n=1)
        message = "is not known" + (f"; did you mean '{near[0]}'?" if near else "")
    return {"field": ".".join(path), "message": message}


def _known_keys(path: list[str]) -> list[str]:
    parts: dict[str, type[BaseModel]] = {"runner": Runner, "limits": Limits}
    return list((parts.get(path[0], AgentConfig) if path else AgentConfig).model_fields)
