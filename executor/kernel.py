"""What we ask of the operating system: die with the parent, lead a group of one's own, know this machine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys

import psutil

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, signal_number: int = signal.SIGKILL) -> None:
    """Let the kernel send ``signal_number`` to this process when the thread that started it ends (Linux).

    ``parent`` is the pid that the starter had: if it died before we asked, we leave at once.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:
        os._exit(1)


def leave_group() -> None:
    """Lead a process group of one's own, so that a signal to the starter's group does not come here too."""
    if os.getpgid(0) != os.getpid():
        os.setpgid(0, 0)


def host_id() -> str:
    """The machine and, on Linux, its pid namespace: where one pid means one process."""
    try:
        namespace = f"/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        namespace = ""
    return f"{socket.gethostname()}{namespace}"


def is_alive(pid: int) -> bool:
    """Whether a process of this machine runs; one that ended and waits for its parent does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False
