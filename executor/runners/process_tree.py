"""Finds and ends the processes that an agent started, also those that left its process group."""

from __future__ import annotations

import contextlib
import os
import signal

import psutil

MARK = "GATEWAY_TASK_ID"


def kill_group(leader: int, signal_number: int) -> None:
    """Send a signal to the process group that ``leader`` leads, if any of it is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal_number)


def all_marked() -> dict[tuple[str, str], list[psutil.Process]]:
    """The processes of this machine that carry an attempt, by task id and attempt number.

    They carry it in their environment, which is kept through ``fork`` and ``setsid``.
    """
    found: dict[tuple[str, str], list[psutil.Process]] = {}
    me = os.getpid()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            environment = process.environ()
            if MARK in environment and process.pid != me:
                key = environment[MARK], environment.get("GATEWAY_ATTEMPT", "")
                found.setdefault(key, []).append(process)
    return found


def marked(task_id: str, attempt: int) -> list[psutil.Process]:
    """The processes that carry this attempt."""
    return all_marked().get((task_id, str(attempt)), [])


def kill_marked(task_id: str, attempt: int) -> int:
    """Kill every process that carries this attempt, until none is left; returns how many it killed."""
    killed = 0
    for _ in range(20):  # a fork bomb may outrun one look
        found = marked(task_id, attempt)
        if not found:
            break
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
                killed += 1
        psutil.wait_procs(found, timeout=1)
    return killed
