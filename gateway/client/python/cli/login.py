"""``gateway login``"""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from gateway.client.python.cli.connection import Address, Json
from gateway.client.python.cli.output import Output
from gateway.client.python.cli.speech import say
from gateway.client.python.client import GatewayClient
from gateway.client.python.profile import DEFAULT_URL, Profile, checked_url, profile_path
from gateway.client.python.types import WhoAmI


def login(
    url: Annotated[
        str | None,
        typer.Argument(metavar="URL", help=say("The server's address, such as http://gateway-host:8000.")),
    ] = None,
    as_json: Json = False,
) -> None:
    output = Output(as_json)
    path = profile_path()
    profile = Profile.read(path)
    address = checked_url(url or Address.url or _asked_url(profile, output))
    with GatewayClient(address, _asked_key(address, output), retries=0) as client:
        who = client.whoami()
    profile.url = address
    profile.keys[address] = client.server.api_key
    profile.write(path)
    if as_json:
        output.json({"url": address, **who})
        return
    output.said(say("Signed in to {url} as {who}.", url=address, who=described(who)), "green")
    output.said(say("Kept in {path}", path=path))


def described(who: WhoAmI) -> str:
    """Whom a key stands for, in one line."""
    workspaces = ", ".join(who["workspaces"]) if who["workspaces"] is not None else say("all workspaces")
    return f"{who['name']} ({', '.join(who['scopes'])}; {workspaces})"


def _asked_url(profile: Profile, output: Output) -> str:
    known = profile.url or DEFAULT_URL
    if not sys.stdin.isatty():
        return known
    output.talk.print(f"{say('Server')} [{known}]: ", end="")
    return input().strip() or known


def _asked_key(address: str, output: Output) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    output.said(
        say("An API key is made on the server: {command}", command="python manage.py create_api_key NAME")
    )
    return getpass.getpass(f"{say('API key for {url} (not shown)', url=address)}: ", sys.stderr).strip()
