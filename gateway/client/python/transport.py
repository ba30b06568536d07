"""One HTTP conversation with a server: pooled, bounded in time, repeated where that is safe."""

from __future__ import annotations

import importlib.metadata
import itertools
import os
import random
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import quote

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from gateway.client.python.problems import error_of, is_transient
from gateway.client.python.profile import API, Server
from gateway.errors import GatewayError, InvalidInput, Unreachable

CONNECT_SECONDS = 10.0
LONGEST_DELAY = 8.0
LONGEST_RETRY_AFTER = 65.0
"""A server that asks for a longer pause is not waited for: the caller is told."""
POOL = 32
SAFE = {"GET", "HEAD", "PUT", "DELETE"}
# requests' errors are OSErrors; the two others come up from below it while a body is read.
CUTS = (OSError, urllib3.exceptions.HTTPError, EOFError)

Query = Mapping[str, Any]


@dataclass
class Call:
    """One request, which may have to be sent more than once."""

    method: str
    path: str
    query: Query = field(default_factory=dict)
    body: Any = None
    """Sent as JSON, unless it is None."""
    content: Any = None
    """A file to send as it is; needs ``rewind`` to be sent again."""
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    """The ``Idempotency-Key``."""
    repeatable: bool | None = None
    """None: what the method and the key say."""
    wait: float = 0
    """Seconds that the server may take on purpose."""
    stream: bool = False

    @property
    def may_repeat(self) -> bool:
        """Whether sending it twice does no more than sending it once."""
        if self.repeatable is not None:
            return self.repeatable
        return self.method in SAFE or self.key is not None


class KeyAuth(AuthBase):
    """Sends the key; as an ``auth`` it cannot be replaced by what a ``.netrc`` says of the host."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class Transport:
    """Sends calls to one server. Threads may share it."""

    def __init__(self, server: Server, *, timeout: float, retries: int) -> None:
        self.server = server
        self.timeout = timeout
        self.retries = retries
        self._lock = threading.Lock()
        self._session: requests.Session | None = None
        self._pid = 0

    def json(self, call: Call) -> Any:
        """Send ``call`` and return the JSON of the answer; raise what ``gateway.errors`` has for it."""
        return self._send(call, self.parsed)

    def response(self, call: Call, *, retries: int | None = None) -> requests.Response:
        """Send ``call`` and return the answer, its body not read if the call streams."""
        answered: requests.Response = self._send(call, lambda response: response, retries)
        return answered

    def page(self, path: str, query: Query, limit: int, cursor: str | None) -> tuple[list[Any], str | None]:
        """The rows of one page of a list, and the cursor of the next."""
        answer = self.json(Call("GET", path, query={**query, "limit": limit, "cursor": cursor}))
        return answer["items"], answer.get("next_cursor")

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        with self._lock:
            if self._session is not None and self._pid == os.getpid():
                self._session.close()
            self._session = None

    def _send(self, call: Call, read: Any, retries: int | None = None) -> Any:
        most = self.retries if retries is None else retries
        for attempt in itertools.count(1):
            try:
                return read(self._once(call))
            except GatewayError as exc:
                if attempt > most or not call.may_repeat or not is_transient(exc):
                    raise
                pause = exc.data.get("retry_after")
                if pause is not None and pause > LONGEST_RETRY_AFTER:
                    raise
            # Not before the time that the server names, and not all clients at the same moment.
            time.sleep(delay(attempt) if pause is None else pause + random.uniform(0, 0.25))  # noqa: S311
        raise AssertionError  # the loop ends by return or raise

    def _once(self, call: Call) -> requests.Response:
        if call.content is not None:
            call.content.rewind()
        headers = dict(call.headers)
        if call.key is not None:
            headers["Idempotency-Key"] = call.key
        try:
            response = self._open_session().request(
                call.method,
                self.server.url + API + call.path,
                params=list(pairs(call.query)),
                json=call.body,
                data=call.content,
                headers=headers,
                timeout=(min(CONNECT_SECONDS, self.timeout), self.timeout + call.wait),
                allow_redirects=False,
                stream=call.stream,
            )
        except CUTS as exc:
            raise self.unreachable(exc) from None  # four exceptions deep, and none says more
        self._refuse(response)
        return response

    def _refuse(self, response: requests.Response) -> None:
        if response.status_code < 300:
            return
        if response.status_code < 400:
            response.close()
            to = response.headers.get("Location", "another address")
            hint = "Use the address that it leads to."
            raise Unreachable(f"{self.server.url} redirects to {to}.", hint=hint, permanent=True)
        try:
            problem = response.json()
        except (*CUTS, ValueError):
            problem = None
        finally:
            response.close()
        if not isinstance(problem, dict):
            problem = {"detail": f"{self.server.url} answered {response.status_code} {response.reason}."}
        raise error_of(response.status_code, problem, _retry_after(response.headers.get("Retry-After")))

    def parsed(self, response: requests.Response) -> Any:
        """The JSON of an answer; None if it has no body."""
        if response.status_code == 204 or not response.content:
            return None
        try:
            return response.json()
        except ValueError as exc:
            message = f"{self.server.url} answered with something that is not JSON, or not all of it."
            raise Unreachable(message) from exc

    def unreachable(self, exc: BaseException) -> Unreachable:
        """The error for what went wrong below HTTP."""
        url = self.server.url
        if isinstance(exc, requests.exceptions.SSLError):
            hint = (
                "Check the address; REQUESTS_CA_BUNDLE names the certificates of a company's own authority."
            )
            return Unreachable(f"The certificate of {url} is not trusted.", hint=hint, permanent=True)
        if isinstance(exc, requests.exceptions.InvalidHeader | requests.exceptions.InvalidURL):
            return Unreachable(f"{url} cannot be asked: {exc}.", permanent=True)
        if isinstance(exc, requests.Timeout):
            return Unreachable(f"{url} did not answer within {self.timeout:g} s.")
        if isinstance(exc, requests.exceptions.ProxyError):
            return Unreachable(
                f"The proxy to {url} cannot be reached.", hint="Check HTTP_PROXY and NO_PROXY."
            )
        if "NewConnectionError" in repr(exc) or "NameResolutionError" in repr(exc):
            return Unreachable(f"{url} cannot be reached.")
        return Unreachable(f"The connection to {url} broke.")

    def _open_session(self) -> requests.Session:
        with self._lock:
            # A forked process must not talk on its parent's connections.
            if self._session is None or self._pid != os.getpid():
                self._session, self._pid = self._new_session(), os.getpid()
            return self._session

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.auth = KeyAuth(self.server.api_key)
        session.headers["User-Agent"] = f"gateway-python/{version()}"
        session.headers["Accept"] = "application/json"
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.trust_env = not self.server.is_local  # no proxy leads to this machine
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=POOL))
        return session


def delay(attempt: int, base: float = 0.25, longest: float = LONGEST_DELAY) -> float:
    """Seconds to wait after try number ``attempt``: doubling up to a cap, half of it by chance."""
    return min(longest, base * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)  # noqa: S311


def segment(value: object, name: str) -> str:
    """An id as one part of an address; raise ``InvalidInput`` for what would lead elsewhere."""
    text = str(value)
    if text in ("", ".", ".."):
        raise InvalidInput(f"{name}: {text!r} is none.", errors=[{"field": name, "message": "is none"}])
    return quote(text, safe="")


def pairs(query: Query) -> Iterable[tuple[str, str]]:
    """The parameters of a query string: None is left out, a sequence is repeated."""
    for name, value in query.items():
        values = [value] if isinstance(value, str) or not isinstance(value, Iterable) else value
        yield from ((name, _written(name, one)) for one in values if one is not None)


def moment(name: str, value: datetime | None) -> str | None:
    """A time as the server reads it; raise ``InvalidInput`` for one without its zone."""
    if value is None:
        return None
    if value.tzinfo is None:
        message = "needs a time zone, as in datetime.now(UTC)"
        raise InvalidInput(f"{name} {message}.", errors=[{"field": name, "message": message}])
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def version() -> str:
    """The version of this package; "dev" where it is imported from a checkout."""
    try:
        return importlib.metadata.version("gateway")
    except importlib.metadata.PackageNotFoundError:
        return "dev"


def _written(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(moment(name, value)) if isinstance(value, datetime) else str(value)


def _retry_after(value: str | None) -> float | None:
    """Seconds, from a number or a date."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        due = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (due - datetime.now(UTC)).total_seconds()) if due.tzinfo else None
