"""What Django refuses before a view is reached: below ``/api/`` as a problem, elsewhere as Django's page."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.views import defaults

from lifecycle import json_bytes
from lifecycle.api import problems


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A host that is not ours, too many fields and the like."""
    return _problem(request, exception) or defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What a view refused outside DRF."""
    return _problem(request, exception) or defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """An address that is none."""
    return _problem(request, Http404()) or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """An error outside every view; Django has logged it."""
    return _problem(request, Exception()) or defaults.server_error(request)


def _problem(request: HttpRequest, exception: Exception) -> HttpResponse | None:
    if not request.path.startswith("/api/"):
        return None
    error, status = problems.translate(exception)
    body = json_bytes.dumps(problems.body_of(error, status, problems.request_id_of(request)))
    headers = problems.headers_of(error, status)
    return HttpResponse(body, status=status, headers=headers, content_type=problems.MEDIA_TYPE)
