"""The OpenAPI schema of the views: bodies from their serializers, answers from the dicts' own types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from pydantic import TypeAdapter
from rest_framework.serializers import Serializer

from lifecycle.api import problems

V = TypeVar("V", bound=Callable[..., Any])
REFERENCE = "#/components/schemas/{model}"

PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "hint", "request_id", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong."},
        "code": {"type": "string", "description": "Stable, for programs."},
        "hint": {"type": "string", "description": "How to mend it."},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
    "additionalProperties": True,
}
SHAPES: dict[str, Any] = {"Problem": PROBLEM}
"""The schemas that answers refer to; ``add_shapes`` puts them into the document."""

ALWAYS = (400, 401, 403, 404, 405, 406, 413, 422, 429, 503)
"""What every address may answer besides its own."""


def shape(kind: Any) -> dict[str, Any]:
    """A reference to the schema of a TypedDict, which is made from its type hints."""
    name: str = kind.__name__.removesuffix("Dict")
    if name not in SHAPES:
        made = TypeAdapter(kind).json_schema(ref_template=REFERENCE, mode="serialization")
        SHAPES.update({key.removesuffix("Dict"): value for key, value in made.pop("$defs", {}).items()})
        SHAPES[name] = made | {"title": name}
    return {"$ref": f"#/components/schemas/{name}"}


def page_of(kind: Any) -> dict[str, Any]:
    """The schema of one page of a list."""
    return {
        "type": "object",
        "required": ["items", "next_cursor"],
        "properties": {
            "items": {"type": "array", "items": shape(kind)},
            "next_cursor": {"type": ["string", "null"]},
        },
    }


def documented(
    summary: str,
    answer: dict[str, Any] | None,
    *,
    body: type[Serializer] | Any = None,
    status: int = 200,
    query: Sequence[OpenApiParameter] = (),
    also: Sequence[int] = (),
    example: Any = None,
    media_type: str = "application/json",
    headers: Sequence[str] = (),
) -> Callable[[V], V]:
    """Describe one method of a view: what it takes, what it answers, and how it refuses.

    What is not described here is refused before the method is called; see ``ApiView.initial``.
    """
    good = (
        OpenApiResponse(response=answer) if answer is not None else OpenApiResponse(description="No content")
    )
    responses: dict[Any, Any] = {(status, media_type) if answer is not None else status: good}
    for code in (*ALWAYS, *also):
        refusal = OpenApiResponse(response={"$ref": "#/components/schemas/Problem"})
        responses[(code, problems.MEDIA_TYPE)] = refusal
    sent = [
        OpenApiParameter(name, OpenApiTypes.STR, OpenApiParameter.HEADER, description=HEADERS[name])
        for name in headers
    ]
    shown = [OpenApiExample("example", value=example, request_only=body is not None)] if example else []
    describe = extend_schema(
        summary=summary, request=body, responses=responses, parameters=[*query, *sent], examples=shown
    )

    def decorate(method: V) -> V:
        made: V = describe(method)
        made.query_names = frozenset(one.name for one in query)  # type: ignore[attr-defined]
        made.takes_body = body is not None  # type: ignore[attr-defined]
        return made

    return decorate


HEADERS = {
    "Idempotency-Key": "Repeating the request with the same key gives the first answer again, for 24 h.",
    "If-Match": "The ETag that the file must have now, in quotes.",
    "If-None-Match": "`*` on PUT: there must be no such file yet. An ETag on GET: 304 if it is unchanged.",
    "Last-Event-ID": "Resume after this event.",
}


def number(
    name: str, description: str, *, minimum: float, maximum: float, default: float
) -> OpenApiParameter:
    """A numeric query parameter with its bounds."""
    kind = "integer" if isinstance(default, int) else "number"
    schema = {"type": kind, "minimum": minimum, "maximum": maximum, "default": default}
    return OpenApiParameter(name, schema, description=description)


def text(name: str, description: str, *, many: bool = False) -> OpenApiParameter:
    """A textual query parameter; repeated, it means *or*."""
    return OpenApiParameter(name, OpenApiTypes.STR, description=description, many=many)


LIMIT = number("limit", "Rows a page.", minimum=1, maximum=200, default=50)
CURSOR = text("cursor", "next_cursor of the page before.")
PAGING = (LIMIT, CURSOR)
SEARCH = (
    text("status", "Status; repeated: or.", many=True),
    text("workspace_id", "Workspace; repeated: or.", many=True),
    text("agent_type", "Agent type; repeated: or.", many=True),
    text("label", "key:value; repeated with one key: or.", many=True),
    text("q", "Searches ids, titles and descriptions."),
    text("created_after", "ISO 8601 with a zone."),
    text("created_before", "ISO 8601 with a zone."),
)


class Schema(AutoSchema):
    """Names operations after their method and address."""

    def get_operation_id(self) -> str:
        parts = [part.strip("{}") for part in self.path.removeprefix("/api/v1/").split("/") if part]
        return "_".join([self.method.lower(), *parts]).replace("-", "_")

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix("/api/v1/").split("/")[0]]


def add_shapes(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """drf-spectacular's hook: put the answers' schemas into the document."""
    schemas: dict[str, Any] = result.setdefault("components", {}).setdefault("schemas", {})
    for name, schema in sorted(SHAPES.items()):
        schemas[name] = _renamed(schema)
    result["components"]["schemas"] = dict(sorted(schemas.items()))
    return result


def _renamed(value: Any) -> Any:
    """Without the suffix ``Dict`` in references, as the shapes are called outside."""
    if isinstance(value, dict):
        return {key: _renamed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    if isinstance(value, str) and value.startswith("#/components/schemas/"):
        return value.removesuffix("Dict")
    return value
