"""What an address does not know is refused, at every address: it would not do what the caller thinks."""

import re

import pytest
from django.urls import resolve

from tests.api.test_isolation import API, address

pytestmark = pytest.mark.django_db

OPEN = {"", "healthz", "readyz", "metrics"}


@pytest.mark.parametrize("route", [one for one in API if one not in OPEN])
def test_an_unknown_query_parameter_or_field_is_422_and_named(api, there, route):
    path = address(route, there)
    view = resolve(path).func.cls

    for method in ("get", "post", "patch", "put", "delete"):
        if not hasattr(view, method):
            continue
        answer = getattr(api, method)(f"{path}?nonsense=1")
        assert answer.status_code == 422, method
        assert answer.json()["errors"] == [{"field": "nonsense", "message": "is not known"}]
        if method in ("post", "patch"):
            answer = getattr(api, method)(path, {"nonsense": 1}, format="json")
            assert answer.status_code == 422, method
            assert answer.json()["errors"][0] == {"field": "nonsense", "message": "is not known"}


def test_every_address_of_the_api_is_in_the_schema(api):
    described = set(api.get("/api/schema").json()["paths"])

    there = {"/" + re.sub(r"<\w+:(\w+)>", r"{\1}", route) for route in API if route not in OPEN}
    assert there - {"/api/schema"} == described
