"""``gateway agent …``"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gateway.client.printable import printable
from gateway.client.python.cli import inputs
from gateway.client.python.cli.agent_run import run_here
from gateway.client.python.cli.connection import Json, connect
from gateway.client.python.cli.follow import exit_with
from gateway.client.python.cli.listing import Limit, taken
from gateway.client.python.cli.output import Column, Output, in_language, one_line, when
from gateway.client.python.cli.speech import say

app = typer.Typer(no_args_is_help=True, help=say("Agent types, and running an agent on this machine."))

COLUMNS = [
    Column(say("name"), lambda one: one["name"]),
    Column(say("version"), lambda one: one["version"], right=True),
    Column(say("enabled"), lambda one: one["enabled"], lambda one: _state(one)),
    Column(say("title"), lambda one: in_language(one["title"])),
    Column(say("description"), lambda one: one_line(one["description"]), cut=True),
]
VERSION_COLUMNS = [
    Column(say("version"), lambda one: one["version"], right=True),
    Column(say("active"), lambda one: one["active"], lambda one: "✓" if one["active"] else ""),
    Column(say("created"), lambda one: one["created_at"], lambda one: when(one["created_at"])),
    Column(say("by"), lambda one: one["created_by"]),
]


@app.command("list", help=say("List the agent types."))
def list_(limit: Limit = 100, as_json: Json = False) -> None:
    with connect() as client:
        rows = taken(limit, lambda size, cursor: client.list_agent_types(limit=size, cursor=cursor))
        Output(as_json).listed(COLUMNS, rows, say("There are no agent types yet."))


@app.command(help=say("Show an agent type: what it does, its limits and settings, its versions."))
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help=say("The agent type."))],
    as_json: Json = False,
) -> None:
    output = Output(as_json)
    with connect() as client:
        found = client.get_agent_type(name)
        if as_json:
            output.json(found)
            return
        versions = list(client.list_versions(name, limit=10))
    output.facts(
        [
            (say("agent"), found["name"]),
            (say("title"), in_language(found["title"])),
            (say("enabled"), _state(dict(found))),
            (say("problem"), Text(printable(found["problem"]), "red") if found["problem"] else None),
            (say("description"), one_line(found["description"])),
            (say("runs as"), found["runner_kind"]),
            (say("from"), say(found["source"])),
            (say("limits"), _lines(found["limits"])),
            (say("settings"), _lines(found["settings"])),
            (say("input"), _lines(found["input_schema"].get("properties", {}))),
        ]
    )
    output.out.print()
    output.listed(VERSION_COLUMNS, versions, "")


@app.command(help=say("Run an agent's function on this machine and show what it does; needs no server."))
def run(
    entrypoint: Annotated[str, typer.Argument(metavar="MODULE:FUNCTION", help=say("The agent's function."))],
    description: Annotated[str, typer.Option("--description", "-d", metavar="TEXT", help=say("The task."))],
    input: Annotated[
        str | None,
        typer.Option(
            "--input", "-i", metavar="JSON|FILE|-", help=say("Input for the agent: JSON, a file, or stdin.")
        ),
    ] = None,
    settings: Annotated[
        str | None, typer.Option("--settings", metavar="JSON|FILE", help=say("The agent's settings."))
    ] = None,
    workspace: Annotated[
        Path,
        typer.Option("--workspace", metavar="FOLDER", help=say("The folder it works in; the current one.")),
    ] = Path(),
    as_json: Json = False,
) -> None:
    given = inputs.json_value(input)
    chosen = inputs.json_value(settings, "--settings") or {}
    if not isinstance(chosen, dict):
        raise typer.BadParameter(say("Settings are a JSON object."), param_hint="--settings")
    if not workspace.is_dir():
        raise typer.BadParameter(say("{path} is no folder.", path=workspace), param_hint="--workspace")
    exit_with(run_here(entrypoint, description, given, chosen, workspace.resolve(), Output(as_json)))


def _state(one: dict[str, object]) -> Text:
    if one["problem"]:
        return Text(f"✗ {say('problem')}", "red")
    return Text(f"✓ {say('yes')}", "green") if one["enabled"] else Text(f"■ {say('no')}", "yellow")


def _lines(values: dict[str, object]) -> str:
    return "\n".join(f"{name}: {_value(value)}" for name, value in values.items())


def _value(value: object) -> str:
    return one_line(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
