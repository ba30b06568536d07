"""What every REST view shares: the actor, the scope it needs, pages, and strict query parameters."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from gateway.errors import InvalidInput
from gateway.page import Page
from lifecycle.actors import Actor, Scope
from lifecycle.api.sign_in import actor_of
from lifecycle.input_rules import refuse

READING = {"GET", "HEAD", "OPTIONS"}


class ApiView(APIView):
    """A view parses, calls one verb, and renders."""

    write_scope: ClassVar[Scope] = "submit"

    def scope_of(self, method: str | None) -> Scope:
        """The scope that ``method`` needs here."""
        return "read" if method in READING else self.write_scope

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Sign in, then refuse what the method does not know: it would not do what the caller thinks."""
        super().initial(request, *args, **kwargs)
        handler = getattr(self, str(request.method).lower(), None)
        if handler is None or request.method == "OPTIONS":
            return
        Query(request, getattr(handler, "query_names", ()))
        if request.method in ("POST", "PATCH") and not getattr(handler, "takes_body", True):
            parsed(Serializer, request)

    @property
    def actor(self) -> Actor:
        """Who calls."""
        return actor_of(self.request)


def parsed(serializer: type[Serializer], request: Request, *, partial: bool = False) -> dict[str, Any]:
    """The body as ``serializer`` has it; raises for fields that are wrong, missing or not known."""
    if not isinstance(request.data, dict):
        raise refuse("body", "must be a JSON object.")
    form = serializer(data=request.data, partial=partial)
    unknown = sorted(set(request.data) - set(form.fields))
    if unknown:
        raise InvalidInput(
            f"{unknown[0]} is not known here.",
            hint=f"Known: {', '.join(form.fields)}.",
            errors=[{"field": name, "message": "is not known"} for name in unknown],
        )
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)


def page_response(page: Page[Any]) -> Response:
    """A page of a list."""
    return Response({"items": list(page), "next_cursor": page.next_cursor})


class Query:
    """The query string, every parameter known and read strictly."""

    def __init__(self, request: Request | Any, known: Iterable[str]) -> None:
        self._values = request.GET
        unknown = sorted(set(self._values) - set(known))
        if unknown:
            raise InvalidInput(
                f"The query parameter '{unknown[0]}' is not known here.",
                hint=f"Known: {', '.join(sorted(known))}.",
                errors=[{"field": name, "message": "is not known"} for name in unknown],
            )

    def text(self, name: str) -> str | None:
        """The last value of ``name``; None if it is not given."""
        value: str | None = self._values.get(name)
        if value is not None and "\x00" in value:
            raise refuse(name, "contains a NUL character.")
        return value

    def many(self, name: str) -> list[str] | None:
        """All values of a repeated parameter; None if it is not given."""
        values = self._values.getlist(name)
        for value in values:
            if "\x00" in value:
                raise refuse(name, "contains a NUL character.")
        return values or None

    def whole(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``."""
        value = self.text(name)
        if value is None:
            return default
        try:
            number = int(value) if len(value) < 20 else None
        except ValueError:
            number = None
        if number is None or not low <= number <= high:
            raise refuse(name, f"must be a whole number from {low:,} to {high:,}, not {value[:40]!r}.")
        return number

    def seconds(self, name: str, *, high: float) -> float:
        """A length of time in seconds from 0 to ``high``; 0 if it is not given."""
        value = self.text(name)
        if value is None:
            return 0.0
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= high:
            raise refuse(name, f"must be a number of seconds from 0 to {high:g}, not {value[:40]!r}.")
        return number

    def moment(self, name: str) -> datetime | None:
        """A time in ISO 8601 with its zone."""
        value = self.text(name)
        if value is None:
            return None
        try:
            moment = parse_datetime(value.replace(" ", "+"))
            if moment is not None and timezone.is_aware(moment):
                return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        raise refuse(name, f"must be a time such as 2026-03-01T08:00:00Z, not {value[:40]!r}.")

    def labels(self, name: str = "label") -> list[tuple[str, str]]:
        """``label=key:value`` pairs."""
        pairs = []
        for value in self.many(name) or []:
            key, colon, wanted = value.partition(":")
            if not colon or not key:
                raise refuse(name, f"must be key:value, not {value[:40]!r}.")
            pairs.append((key, wanted))
        return pairs

    def list_filters(self) -> dict[str, Any]:
        """What every list takes."""
        return {"limit": self.whole("limit", 50, low=1, high=200), "cursor": self.text("cursor")}


LIST_FILTERS = ("limit", "cursor")
