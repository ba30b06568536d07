"""``gateway doctor``"""

from __future__ import annotations

import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

import requests
from rich.text import Text

from gateway.client.printable import printable
from gateway.client.python.cli import exits
from gateway.client.python.cli.connection import Address, Json
from gateway.client.python.cli.follow import exit_with
from gateway.client.python.cli.login import described
from gateway.client.python.cli.output import Output
from gateway.client.python.cli.speech import say
from gateway.client.python.client import GatewayClient
from gateway.client.python.profile import profile_path
from gateway.client.python.transport import version
from gateway.errors import GatewayError

MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}
SKEW_SECONDS = 30
TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Finding:
    """What one check found; ``cure`` is empty when all is well, ``code`` is the exit code it asks for."""

    name: str
    verdict: Literal["ok", "warning", "problem"]
    message: str
    cure: str = ""
    code: int = exits.OK


def doctor(as_json: Json = False) -> None:
    output = Output(as_json)
    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            _show(finding, output)
    if as_json:
        items = [{name: value for name, value in asdict(one).items() if name != "code"} for one in findings]
        output.json({"items": items})
    exit_with(next((one.code for one in findings if one.code), exits.OK))


def examine() -> Iterator[Finding]:
    """Each check in turn, as far as the one before lets it."""
    yield Finding("gateway", "ok", f"{version()}, Python {sys.version.split()[0]}")
    try:
        client = GatewayClient(Address.url, timeout=TIMEOUT_SECONDS, retries=0)
    except GatewayError as exc:
        yield Finding("key", "problem", exc.message, exc.hint, exits.of_error(exc))
        return
    with client:
        yield Finding("address", "ok", f"{client.server.url} ({say(client.server.url_from)})")
        yield from _profile()
        reached = _server(client)
        yield reached
        if reached.verdict == "ok":
            yield from _answers(client)


def _profile() -> Iterator[Finding]:
    path = profile_path()
    if path.is_file() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        problem = say("{path} can be read by others.", path=path)
        yield Finding("profile", "warning", problem, f"chmod 600 {path}")


def _server(client: GatewayClient) -> Finding:
    url = f"{client.server.url}/readyz"
    try:
        began = time.monotonic()
        with requests.Session() as session:
            session.trust_env = not client.server.is_local
            answer = session.get(url, timeout=TIMEOUT_SECONDS, allow_redirects=False)
    except requests.RequestException:
        problem = say("{url} cannot be reached.", url=client.server.url)
        cure = say("Check the address (GATEWAY_URL) and that Gateway runs there: `make run`.")
        return Finding("server", "problem", problem, cure, exits.UNREACHABLE)
    if answer.status_code != requests.codes.ok:
        problem = say("{url} answers {status}.", url=url, status=answer.status_code)
        cure = say("On the server: {command}", command="python manage.py doctor")
        return Finding("server", "problem", problem, cure, exits.UNREACHABLE)
    skew = _skew(answer.headers.get("Date"))
    if abs(skew) > SKEW_SECONDS:
        problem = say("Its clock is {seconds} s off from here.", seconds=f"{skew:+.0f}")
        return Finding("server", "warning", problem, say("Set both clocks by NTP."))
    return Finding(
        "server", "ok", say("ready, answered in {ms} ms", ms=round((time.monotonic() - began) * 1000))
    )


def _answers(client: GatewayClient) -> Iterator[Finding]:
    try:
        who = client.whoami()
        yield Finding("key", "ok", f"{described(who)} ← {client.server.key_from}")
        stats = client.stats()
    except GatewayError as exc:
        yield Finding("key", "problem", exc.message, exc.hint, exits.of_error(exc))
        return
    if stats["paused"]:
        paused = say("Everything was paused by {who}.", who=stats["paused_by"])
        yield Finding("worker", "warning", paused, say("Resume it in the admin, or by POST /api/v1/resume."))
    elif stats["workers"]:
        yield Finding("worker", "ok", say("{count} alive", count=len(stats["workers"])))
    else:
        cure = say("On the server: {command}", command="python manage.py worker")
        yield Finding("worker", "warning", say("none is alive: no task starts"), cure)


def _skew(date: str | None) -> float:
    """By how many seconds the server's clock is ahead of this one."""
    try:
        return parsedate_to_datetime(date or "").timestamp() - time.time()
    except ValueError:
        return 0.0


def _show(finding: Finding, output: Output) -> None:
    mark, style = MARKS[finding.verdict]
    line = Text.assemble((f"{mark} ", style), (say(finding.name), "bold"), ": ", printable(finding.message))
    output.out.print(line, soft_wrap=True)
    if finding.cure:
        output.out.print(Text(f"    → {printable(finding.cure)}", style), soft_wrap=True)
