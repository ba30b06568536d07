"""The sample task: ``data_analyst`` on the shipped sales table, followed live in the terminal."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from rich.live import Live

from executor.task_manager import TaskManager
from gateway.client.result_view import file_table, result_panel
from gateway.client.task_view import TaskView
from gateway.errors import AlreadyExists
from lifecycle.actors import Actor
from lifecycle.models import Workspace
from lifecycle.trace_manager import TraceManager
from lifecycle.workspace_manager import WorkspaceManager, folder_of

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.client.words import Words

WORKSPACE = "demo"
DESCRIPTION = "分析销售数据"
ACTOR = Actor("sample")
PATIENCE_SECONDS = 120


def sample_was_run() -> bool:
    """Whether this installation has its demo workspace already."""
    return Workspace.objects.filter(pk=WORKSPACE).exists()


def submit_sample() -> str:
    """Put the sample table into the demo workspace and submit the task; returns its id."""
    workspaces = WorkspaceManager()
    with contextlib.suppress(AlreadyExists):
        workspaces.create_workspace(WORKSPACE, title="Demo", actor=ACTOR)
    table = Path(settings.GATEWAY_CONFIG_DIR) / "samples" / "sales.csv"
    if not table.is_file():
        table = Path(settings.BASE_DIR) / "config" / "samples" / "sales.csv"
    workspaces.upload_file(WORKSPACE, "sales.csv", table, actor=ACTOR)
    trace_id = TraceManager().create_trace(WORKSPACE, "data_analyst", title=DESCRIPTION, actor=ACTOR)
    return TaskManager().submit_task(trace_id, DESCRIPTION, actor=ACTOR)


def follow(task_id: str, console: Console, words: Words) -> int:
    """Show the task live until it ends; returns 0 if it completed, else 1."""
    tasks = TaskManager()
    view = TaskView(DESCRIPTION, words)
    seen = 0
    with Live(view, console=console, refresh_per_second=12, transient=False):
        waited = 0.0
        while not view.final and waited < PATIENCE_SECONDS:
            news = tasks.list_events(task_id, after=seen, limit=1000, wait=1)
            waited = 0.0 if news else waited + 1
            for event in news:
                view.take(dict(event))
                seen = event["seq"]
    if not console.is_terminal:
        console.print()  # a pipe gets the last picture without the end of its line
    if not view.final:
        console.print(
            words(
                "The sample task has not finished within {seconds} s: {status}.",
                seconds=PATIENCE_SECONDS,
                status=words(view.status),
            )
        )
        return 1
    show_result(task_id, console, words)
    return 0 if view.status == "completed" else 1


def show_result(task_id: str, console: Console, words: Words) -> None:
    """Print what the task returned and where its files are."""
    task = TaskManager().get_task(task_id)
    panel = result_panel(task["result"], words)
    if panel is not None:
        console.print(panel)
    files = TaskManager().list_artifacts(task_id)
    if files:
        console.print(file_table(files, words))
        console.print(words("They are in {path}", path=folder_of(task["workspace_id"])), style="dim")
