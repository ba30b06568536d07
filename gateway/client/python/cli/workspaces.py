"""``gateway workspace …``"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from gateway.client.printable import printable
from gateway.client.python.cli.connection import Json, connect
from gateway.client.python.cli.listing import Limit, taken
from gateway.client.python.cli.output import Column, Output, one_line, size, when
from gateway.client.python.cli.speech import say
from gateway.client.python.downloads import Progress as Report
from gateway.client.python.types import StoredFile, Workspace

app = typer.Typer(no_args_is_help=True, help=say("Workspaces and their files."))

COLUMNS = [
    Column(say("id"), lambda one: one["id"]),
    Column(say("status"), lambda one: one["status"], lambda one: say(one["status"])),
    Column(say("used"), lambda one: one["used_bytes"], lambda one: size(one["used_bytes"]), right=True),
    Column(say("quota"), lambda one: one["quota_bytes"], lambda one: size(one["quota_bytes"]), right=True),
    Column(say("created"), lambda one: one["created_at"], lambda one: when(one["created_at"])),
    Column(say("title"), lambda one: one_line(one["title"]), cut=True),
]
FILE_COLUMNS = [
    Column(
        say("path"),
        lambda file: file["path"],
        lambda file: Text(printable(file["path"]) + "/", "blue") if file["kind"] == "dir" else file["path"],
    ),
    Column(
        say("size"),
        lambda file: file["size"],
        lambda file: "" if file["kind"] == "dir" else size(file["size"]),
        right=True,
    ),
    Column(say("changed"), lambda file: file["modified_at"], lambda file: when(file["modified_at"])),
]

WorkspaceId = Annotated[str, typer.Argument(metavar="ID", help=say("The workspace's id."))]


@app.command(help=say("Make a workspace."))
def create(
    workspace: WorkspaceId,
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help=say("A title."))] = "",
    quota: Annotated[
        int | None, typer.Option("--quota", min=0, metavar="BYTES", help=say("Room for its files, in bytes."))
    ] = None,
    max_running: Annotated[
        int, typer.Option("--max-running", min=0, metavar="N", help=say("Tasks at once; 0: no limit."))
    ] = 0,
    as_json: Json = False,
) -> None:
    with connect() as client:
        made = client.create_workspace(workspace, title=title, quota_bytes=quota, max_running=max_running)
    _tell(made, Output(as_json), made["id"])


@app.command("list", help=say("List workspaces, newest first."))
def list_(limit: Limit = 50, as_json: Json = False) -> None:
    with connect() as client:
        rows = taken(limit, lambda size, cursor: client.list_workspaces(limit=size, cursor=cursor))
        Output(as_json).listed(COLUMNS, rows, say("There are no workspaces yet."))


@app.command(help=say("Show a workspace."))
def show(workspace: WorkspaceId, as_json: Json = False) -> None:
    with connect() as client:
        found = client.get_workspace(workspace)
    output = Output(as_json)
    if as_json:
        output.json(found)
        return
    output.facts(
        [
            (say("workspace"), found["id"]),
            (say("title"), found["title"]),
            (say("status"), say(found["status"])),
            (say("used"), size(found["used_bytes"])),
            (say("quota"), size(found["quota_bytes"])),
            (say("tasks at once"), str(found["max_running"] or "")),
            (say("created"), when(found["created_at"])),
        ]
    )


@app.command(help=say("Let a workspace take no new traces, tasks or files."))
def archive(workspace: WorkspaceId, as_json: Json = False) -> None:
    with connect() as client:
        changed = client.archive_workspace(workspace)
    _tell(changed, Output(as_json), changed["status"])


@app.command(help=say("Open an archived workspace again."))
def restore(workspace: WorkspaceId, as_json: Json = False) -> None:
    with connect() as client:
        changed = client.restore_workspace(workspace)
    _tell(changed, Output(as_json), changed["status"])


@app.command(help=say("List one folder of a workspace."))
def files(
    workspace: WorkspaceId,
    path: Annotated[str, typer.Argument(metavar="PATH", help=say("The folder; without it, the top."))] = "",
    as_json: Json = False,
) -> None:
    with connect() as client:
        Output(as_json).listed(FILE_COLUMNS, client.list_files(workspace, path), say("The folder is empty."))


@app.command(help=say("Put files of this machine into a workspace."))
def upload(
    workspace: WorkspaceId,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help=say("Files of this machine."))],
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="PATH", help=say("Path in the workspace; with a / at the end, a folder.")
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    if len(files) > 1 and to and not to.endswith("/"):
        raise typer.BadParameter(
            say("Several files need a folder: write it with a / at the end."), param_hint="--to"
        )
    output = Output(as_json)
    stored: list[StoredFile] = []
    with connect() as client:
        for file in files:
            path = f"{to}{file.name}" if not to or to.endswith("/") else to
            with shown_progress(file.name, output) as report:
                stored.append(client.upload_file(workspace, path, file, progress=report))
            if not as_json:
                output.line(stored[-1]["path"])
    if as_json:
        output.json({"items": stored})


@app.command(help=say("Fetch a file of a workspace."))
def download(
    workspace: WorkspaceId,
    path: Annotated[str, typer.Argument(metavar="PATH", help=say("The file's path in the workspace."))],
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="TARGET", help=say("File or folder of this machine; without it, the current folder.")
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    output = Output(as_json)
    with connect() as client, shown_progress(path, output) as report:
        saved = client.download_file(workspace, path, target or Path(), progress=report)
    if as_json:
        output.json({"path": str(saved), "size": saved.stat().st_size})
    else:
        output.line(str(saved))


@contextmanager
def shown_progress(name: str, output: Output) -> Iterator[Report | None]:
    """A bar on stderr while a file is on its way; none where nobody looks."""
    if not output.talk.is_terminal or output.as_json:
        yield None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=output.talk, transient=True) as progress:
        bar = progress.add_task(printable(name), total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def _tell(workspace: Workspace, output: Output, line: str) -> None:
    if output.as_json:
        output.json(workspace)
    else:
        output.line(line)
