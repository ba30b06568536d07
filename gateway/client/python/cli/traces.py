"""``gateway trace …``"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text
from rich.tree import Tree

from gateway.client.printable import printable
from gateway.client.python.cli import inputs
from gateway.client.python.cli.connection import Json, connect
from gateway.client.python.cli.listing import Limit, taken
from gateway.client.python.cli.output import Column, Output, one_line, status, when
from gateway.client.python.cli.speech import say
from gateway.client.python.cli.tasks import COLUMNS as TASK_COLUMNS
from gateway.client.python.types import Span, Trace, TraceFilters
from gateway.client.task_view import MARKS

app = typer.Typer(no_args_is_help=True, help=say("Traces: the runs of an agent in a workspace."))

MOST_SPANS = 200
SPAN_STYLES = {"ok": "green", "error": "red", "running": "cyan"}
COLUMNS = [
    Column(say("id"), lambda trace: trace["id"]),
    Column(say("status"), lambda trace: trace["status"], lambda trace: status(trace["status"])),
    Column(say("agent"), lambda trace: trace["agent_type"]),
    Column(say("workspace"), lambda trace: trace["workspace_id"]),
    Column(
        say("created"),
        lambda trace: trace["created_at"],
        lambda trace: when(trace["created_at"]),
        from_width=100,
    ),
    Column(say("title"), lambda trace: one_line(trace["title"]), cut=True, from_width=100),
]

TraceId = Annotated[str, typer.Argument(metavar="ID", help=say("The trace's id."))]


@app.command(help=say("Register a run of an agent in a workspace; prints its id."))
def create(
    workspace: Annotated[
        str, typer.Option("--workspace", metavar="ID", help=say("The workspace; made if it is missing."))
    ],
    agent: Annotated[str, typer.Option("--agent", "-a", metavar="TYPE", help=say("The agent type."))],
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help=say("A title."))] = "",
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", metavar="K=V", help=say("A label; may be repeated."))
    ] = None,
    as_json: Json = False,
) -> None:
    output = Output(as_json)
    with connect() as client:
        trace_id = client.create_trace(workspace, agent, title=title, labels=inputs.labels(label))
        if as_json:
            output.json(client.get_trace(trace_id))
        else:
            output.line(trace_id)


@app.command("list", help=say("List traces, newest first."))
def list_(
    workspace: Annotated[
        list[str] | None, typer.Option("--workspace", metavar="ID", help=say("Only of this workspace."))
    ] = None,
    agent: Annotated[
        list[str] | None, typer.Option("--agent", "-a", metavar="TYPE", help=say("Only of this agent type."))
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--status",
            "-s",
            metavar="STATUS",
            help=say("Only in this status."),
            autocompletion=lambda: ["idle", "running", "waiting", "closed"],
        ),
    ] = None,
    query: Annotated[
        str | None,
        typer.Option("--query", "-q", metavar="TEXT", help=say("Only where id or title has this text.")),
    ] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    wanted: TraceFilters = {"workspace_id": workspace, "agent_type": agent, "status": state, "q": query}
    with connect() as client:
        rows = taken(limit, lambda size, cursor: client.list_traces(limit=size, cursor=cursor, **wanted))
        Output(as_json).listed(COLUMNS, rows, say("There are no such traces."))


@app.command(help=say("Show a trace with its tasks and steps."))
def show(trace_id: TraceId, as_json: Json = False) -> None:
    output = Output(as_json)
    with connect() as client:
        trace = client.get_trace(trace_id)
        if as_json:
            output.json(trace)
            return
        output.facts(_facts(trace))
        tasks = list(
            taken(20, lambda size, cursor: client.list_tasks(limit=size, cursor=cursor, trace_id=trace_id))
        )
        spans = client.list_spans(trace_id)["items"]
    if tasks:
        output.out.print()
        output.listed(TASK_COLUMNS, tasks, "")
    if spans:
        output.out.print()
        output.out.print(_tree(spans))


@app.command(help=say("Close a trace: it takes no more tasks."))
def close(trace_id: TraceId, as_json: Json = False) -> None:
    output = Output(as_json)
    with connect() as client:
        trace = client.close_trace(trace_id)
    if as_json:
        output.json(trace)
    else:
        output.line(trace["status"])


def _facts(trace: Trace) -> list[tuple[str, Text | str | None]]:
    counts = "  ".join(f"{say(name)} {count}" for name, count in trace["task_counts"].items() if count)
    return [
        (say("trace"), trace["id"]),
        (say("status"), status(trace["status"])),
        (say("title"), trace["title"]),
        (say("agent"), trace["agent_type"]),
        (say("workspace"), trace["workspace_id"]),
        (say("parent"), trace["parent_id"]),
        (say("created"), when(trace["created_at"])),
        (say("closed"), when(trace["closed_at"])),
        (say("tasks"), counts),
        (say("labels"), "  ".join(f"{key}={value}" for key, value in trace["labels"].items())),
    ]


def _tree(spans: Sequence[Span]) -> Tree:
    """The steps as a tree, oldest first."""
    latest = {span["id"]: span for span in spans}
    ordered = sorted(latest.values(), key=lambda span: span["started_at"])
    root = Tree(Text(say("Steps"), "bold"), guide_style="dim")
    branches = {span["id"]: Tree(_span_line(span), guide_style="dim") for span in ordered[:MOST_SPANS]}
    for span in ordered[:MOST_SPANS]:
        branches.get(span["parent_id"] or "", root).children.append(branches[span["id"]])
    if len(ordered) > MOST_SPANS:
        root.add(Text(say("… {count} more", count=len(ordered) - MOST_SPANS), "dim"))
    return root


def _span_line(span: Span) -> Text:
    style = SPAN_STYLES.get(span["status"], "yellow")
    line = Text.assemble((f"{MARKS.get(span['status'], '●')} ", style), printable(one_line(span["name"])))
    line.append(f"  {span['kind']}", "dim")
    if span["model"]:
        line.append(f"  {printable(span['model'])}", "dim")
    if span["error"]:
        line.append(f"  {printable(one_line(span['error']))}", "red")
    line.no_wrap, line.overflow = True, "ellipsis"
    return line
