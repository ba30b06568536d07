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


def marked(task_id: str, attempt: int) -> list[psutil.Process]:
    """The processes whose environment carries this attempt; it is kept through ``fork`` and ``setsid``."""
    found = []
    me = os.getpid()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            environment = process.environ()
            if (
                process.pid != me
                and environment.get(MARK) == task_id
                and environment.get("GATEWAY_ATTEMPT") == str(attempt)
            ):
                found.append(process)
    return found


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
