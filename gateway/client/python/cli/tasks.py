"""``gateway task …``"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urljoin

import typer
from rich.text import Text

from gateway.client.printable import printable
from gateway.client.python.cli import inputs
from gateway.client.python.cli.connection import Json, connect
from gateway.client.python.cli.follow import Manner, exit_with, failed, follow, show_result
from gateway.client.python.cli.listing import Limit, taken
from gateway.client.python.cli.output import Column, Output, one_line, status, when
from gateway.client.python.cli.speech import say
from gateway.client.python.client import GatewayClient
from gateway.client.python.types import Task, TaskFilters
from gateway.client.result_view import file_table

app = typer.Typer(no_args_is_help=True, help=say("Submit tasks, follow and stop them."))

STATUSES = ["pending", "running", "waiting", "cancelling", "completed", "failed", "cancelled"]
COLUMNS = [
    Column(say("id"), lambda task: task["id"]),
    Column(say("status"), lambda task: task["status"], lambda task: status(task["status"])),
    Column(say("agent"), lambda task: task["agent_type"], from_width=100),
    Column(say("workspace"), lambda task: task["workspace_id"], from_width=120),
    Column(say("created"), lambda task: task["created_at"], lambda task: when(task["created_at"])),
    Column(say("description"), lambda task: one_line(task["description"]), cut=True),
]

TaskId = Annotated[str, typer.Argument(metavar="ID", help=say("The task's id."))]
Follow = Annotated[bool, typer.Option("--follow", "-f", help=say("Show it live until it ends."))]
Wait = Annotated[bool, typer.Option("--wait", "-w", help=say("Wait until it ends, then print its result."))]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout", min=0, metavar="S", help=say("Stop watching after so many seconds (exit code 6).")
    ),
]
Input = Annotated[
    str | None,
    typer.Option(
        "--input", "-i", metavar="JSON|@FILE|-", help=say("Input for the agent: JSON, a file, or stdin.")
    ),
]
Label = Annotated[
    list[str] | None, typer.Option("--label", "-l", metavar="K=V", help=say("A label; may be repeated."))
]


def manner_of(follow_it: bool, wait: bool) -> Manner | None:
    """Which of the two options was given."""
    if follow_it and wait:
        raise typer.BadParameter(say("Choose --follow or --wait."), param_hint="--wait")
    return "follow" if follow_it else "wait" if wait else None


@app.command(help=say("Give an agent a task, in a trace or in a new one."))
def submit(
    description: Annotated[
        str, typer.Argument(metavar="DESCRIPTION", help=say("What to do; - reads it from stdin."))
    ],
    trace: Annotated[
        str | None, typer.Option("--trace", "-t", metavar="ID", help=say("The trace to go on in."))
    ] = None,
    workspace: Annotated[
        str | None, typer.Option("--workspace", metavar="ID", help=say("The workspace of a new trace."))
    ] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", "-a", metavar="TYPE", help=say("The agent type of a new trace."))
    ] = None,
    input: Input = None,
    label: Label = None,
    follow_it: Follow = False,
    wait: Wait = False,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    if (trace is None) == (workspace is None or agent is None) or (trace and (workspace or agent)):
        raise typer.BadParameter(say("Give --trace, or --workspace and --agent."), param_hint="--trace")
    manner = manner_of(follow_it, wait)
    given = inputs.json_value(input)
    labels = inputs.labels(label)
    text = typer.get_text_stream("stdin").read() if description == "-" else description
    output = Output(as_json)
    with connect() as client:
        trace_id = trace or client.create_trace(str(workspace), str(agent))
        task_id = client.submit_task(trace_id, text, input=given, labels=labels)
        _go_on(client, task_id, output, manner, timeout)


@app.command("list", help=say("List tasks, newest first."))
def list_(
    workspace: Annotated[
        list[str] | None, typer.Option("--workspace", metavar="ID", help=say("Only of this workspace."))
    ] = None,
    trace: Annotated[
        str | None, typer.Option("--trace", "-t", metavar="ID", help=say("Only of this trace."))
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
            autocompletion=lambda: STATUSES,
        ),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", metavar="K=V", help=say("Only with this label."))
    ] = None,
    query: Annotated[
        str | None,
        typer.Option(
            "--query", "-q", metavar="TEXT", help=say("Only where id or description has this text.")
        ),
    ] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    wanted: TaskFilters = {
        "workspace_id": workspace,
        "trace_id": trace,
        "agent_type": agent,
        "status": state,
        "labels": list(inputs.labels(label).items()),
        "q": query,
    }
    with connect() as client:
        rows = taken(limit, lambda size, cursor: client.list_tasks(limit=size, cursor=cursor, **wanted))
        Output(as_json).listed(COLUMNS, rows, say("There are no such tasks."))


@app.command(help=say("Show a task: where it stands, why, and what it came to."))
def show(task_id: TaskId, as_json: Json = False) -> None:
    output = Output(as_json)
    with connect() as client:
        task = client.get_task(task_id)
        if as_json:
            output.json(task)
            return
        output.facts(facts_of(task, client.server.url))
        if task["status"] == "failed":
            failed(task["error"], output)
        show_result(task["result"], output)
        files = client.list_artifacts(task_id)
        if files:
            output.out.print(file_table(files, say))


@app.command("follow", help=say("Show a task live until it ends; Ctrl-C leaves it running."))
def follow_(
    task_id: TaskId,
    after: Annotated[
        int, typer.Option("--after", min=0, metavar="SEQ", help=say("Begin after this event."))
    ] = 0,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    with connect() as client:
        task = client.get_task(task_id)
        exit_with(follow(client, task, Output(as_json), "follow", after=after, timeout=timeout))


@app.command(help=say("Ask for a task to be stopped."))
def cancel(
    task_id: TaskId,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help=say("Why; kept in the task's log."))
    ] = "",
    wait: Annotated[
        float,
        typer.Option(
            "--wait", "-w", min=0, max=30, metavar="S", help=say("Wait so many seconds until it has stopped.")
        ),
    ] = 0,
    as_json: Json = False,
) -> None:
    output = Output(as_json)
    with connect() as client:
        task = client.cancel_task(task_id, reason=reason, wait=wait)
    if as_json:
        output.json(task)
    elif output.for_people:
        output.out.print(status(task["status"]))
    else:
        output.line(task["status"])


@app.command(help=say("Run a task that has ended once more, as a new task."))
def retry(
    task_id: TaskId,
    input: Input = None,
    follow_it: Follow = False,
    wait: Wait = False,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    manner = manner_of(follow_it, wait)
    given = inputs.json_value(input)
    output = Output(as_json)
    with connect() as client:
        _go_on(client, client.retry_task(task_id, input=given), output, manner, timeout)


def facts_of(task: Task, server: str) -> list[tuple[str, Text | str | None]]:
    """What there is to say of a task, line by line."""
    blocked = task["blocked_by"]
    version = f" v{task['agent_version']}" if task["agent_version"] else ""
    state = status(task["status"])
    if task["reason"]:
        state.append(f" ({task['reason']})", "dim")
    return [
        (say("task"), task["id"]),
        (say("status"), state),
        (say("because"), blocked["message"] if blocked else None),
        (say("description"), Text(printable(task["description"].strip()), "bold")),
        (say("agent"), task["agent_type"] + version),
        (say("workspace"), task["workspace_id"]),
        (say("trace"), task["trace_id"]),
        (say("progress"), _progress(task["progress"]) if task["status"] == "running" else None),
        (say("created"), f"{when(task['created_at'])}  {task['actor']}"),
        (say("started"), when(task["started_at"])),
        (say("finished"), when(task["finished_at"])),
        (say("attempt"), f"{task['attempt']} / {task['max_attempts']}" if task["attempt"] else None),
        (say("retry of"), task["retry_of"]),
        (say("labels"), "  ".join(f"{key}={value}" for key, value in task["labels"].items())),
        (say("tokens"), _tokens(task["usage"])),
        (say("page"), urljoin(server, task["url"])),
    ]


def _go_on(
    client: GatewayClient, task_id: str, output: Output, manner: Manner | None, timeout: float | None
) -> None:
    task = client.get_task(task_id)
    if manner is not None:
        if not (output.as_json and manner == "wait"):
            output.said(say("Task {id}", id=task_id))
        exit_with(follow(client, task, output, manner, timeout=timeout))
    elif output.as_json:
        output.json(task)
    else:
        output.line(task_id)
        if output.for_people:
            output.said(say("To follow it: {command}", command=f"gateway task follow {task_id}"))
        if blocked := task["blocked_by"]:
            output.said(blocked["message"], "yellow")


def _progress(progress: dict[str, Any] | None) -> str | None:
    return f"{progress['percent']:.0f} %  {progress['message']}" if progress else None


def _tokens(usage: dict[str, Any]) -> str | None:
    if not usage.get("input_tokens") and not usage.get("output_tokens"):
        return None
    cost = f"  {usage['cost']:.4f} {usage['currency']}" if usage.get("cost") is not None else ""
    return f"{usage['input_tokens']:,} → {usage['output_tokens']:,}{cost}"
