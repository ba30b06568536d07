"""Finds out how an entry point runs, without importing an agent's code into this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from gateway.errors import BadConfiguration
from lifecycle.models import AgentVersion

if TYPE_CHECKING:
    from lifecycle.agent_config import Runner

PROBE = Path(__file__).with_name("entrypoint_probe.py")
PROBE_SECONDS = 60


def import_path() -> list[str]:
    """Where agents are imported from: the project, then the site's own ``GATEWAY_CONFIG_DIR/agents``."""
    return [str(settings.BASE_DIR), str(Path(settings.GATEWAY_CONFIG_DIR) / "agents")]


def mode_of(runner: Runner) -> AgentVersion.Mode:
    """How ``runner`` runs. Raise ``BadConfiguration`` if its function cannot be imported."""
    argv = [runner.python or sys.executable, str(PROBE), runner.entrypoint, *import_path()]
    environment = {
        key: os.environ[key] for key in ("PATH", "HOME", "LANG", "LC_ALL", "TZ") if key in os.environ
    }
    try:
        done = subprocess.run(  # argv is the operator's own configuration, never a shell
            argv, capture_output=True, timeout=PROBE_SECONDS, env=environment, check=False
        )
        answer = json.loads(done.stdout)
    except OSError as exc:
        raise _problem(f"the interpreter {argv[0]} cannot be started ({exc.strerror}).") from None
    except subprocess.TimeoutExpired:
        raise _problem(f"importing {runner.entrypoint} took over {PROBE_SECONDS} s.") from None
    except ValueError:
        raise _problem(f"importing {runner.entrypoint} ended the interpreter.") from None
    if "problem" in answer:
        raise _problem(f"{answer['problem']}.")
    # Another interpreter is another process, also for a coroutine function.
    on_loop = answer["async"] and runner.python is None
    return AgentVersion.Mode.ASYNC if on_loop else AgentVersion.Mode.CHILD


def _problem(message: str) -> BadConfiguration:
    return BadConfiguration(
        f"runner.entrypoint: {message}",
        hint="Modules are looked for beside manage.py and in GATEWAY_CONFIG_DIR/agents.",
        errors=[{"field": "runner.entrypoint", "message": message}],
    )
