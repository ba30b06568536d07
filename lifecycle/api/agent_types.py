"""``/agent-types``, read."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle.agent_type_dict import AgentTypeDict, AgentVersionDict
from lifecycle.agent_type_manager import AgentTypeManager
from lifecycle.api.schema import PAGING, documented, page_of, shape
from lifecycle.api.views import LIST_FILTERS, ApiView, Query, page_response


class AgentTypesView(ApiView):
    """All agent types."""

    @documented("List the agent types", page_of(AgentTypeDict), query=PAGING)
    def get(self, request: Request) -> Response:
        query = Query(request, LIST_FILTERS)
        return page_response(AgentTypeManager().list_agent_types(**query.list_filters()))


class AgentTypeView(ApiView):
    """One agent type."""

    @documented("Get an agent type", shape(AgentTypeDict))
    def get(self, request: Request, name: str) -> Response:
        return Response(AgentTypeManager().get_agent_type(name))


class AgentVersionsView(ApiView):
    """Its versions, newest first."""

    @documented("List the versions of an agent type", page_of(AgentVersionDict), query=PAGING)
    def get(self, request: Request, name: str) -> Response:
        query = Query(request, LIST_FILTERS)
        return page_response(AgentTypeManager().list_versions(name, **query.list_filters()))
