"""``/agent-types``, read."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle.agent_type_manager import AgentTypeManager
from lifecycle.api.views import LIST_FILTERS, ApiView, Query, page_response


class AgentTypesView(ApiView):
    """All agent types."""

    def get(self, request: Request) -> Response:
        query = Query(request, LIST_FILTERS)
        return page_response(AgentTypeManager().list_agent_types(**query.list_filters()))


class AgentTypeView(ApiView):
    """One agent type."""

    def get(self, request: Request, name: str) -> Response:
        return Response(AgentTypeManager().get_agent_type(name))


class AgentVersionsView(ApiView):
    """Its versions, newest first."""

    def get(self, request: Request, name: str) -> Response:
        query = Query(request, LIST_FILTERS)
        return page_response(AgentTypeManager().list_versions(name, **query.list_filters()))
