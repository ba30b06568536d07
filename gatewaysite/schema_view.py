"""``/api/schema``: the OpenAPI document, for any key."""

from __future__ import annotations

from typing import Any

import yaml
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle.api.json_renderer import JsonRenderer
from lifecycle.api.views import ApiView


class YamlRenderer(BaseRenderer):
    """YAML, for people."""

    media_type = "application/yaml"
    format = "yaml"

    def render(self, data: Any, media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return as_yaml(data).encode()


class SchemaView(ApiView):
    """The schema as JSON, or as YAML by Accept."""

    renderer_classes = (JsonRenderer, YamlRenderer)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        return Response(document())


def document() -> dict[str, Any]:
    """The OpenAPI document as it follows from the code."""
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    made: dict[str, Any] = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return made


def as_yaml(data: dict[str, Any]) -> str:
    """The document as it is committed in ``docs/api/openapi.yaml``."""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)
