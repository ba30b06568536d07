"""The command ``gateway``: its parts, and how it speaks of what went wrong."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, NoReturn

import typer
import typer.main
from rich.console import Console
from rich.text import Text

from gateway.client.printable import printable
from gateway.client.python.cli import agents, exits, tasks, traces, workspaces
from gateway.client.python.cli.connection import Address
from gateway.client.python.cli.doctor import doctor
from gateway.client.python.cli.login import login
from gateway.client.python.cli.refusals import error_sentence, hint_of, usage_sentence
from gateway.client.python.cli.speech import say
from gateway.client.python.cli.typer_words import translate
from gateway.client.python.transport import version
from gateway.errors import GatewayError

app = typer.Typer(
    no_args_is_help=True,
    help=say("Give a company's agents work, and see what they do."),
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(tasks.app, name="task")
app.add_typer(traces.app, name="trace")
app.add_typer(workspaces.app, name="workspace")
app.add_typer(agents.app, name="agent")
app.command(help=say("Sign in to a server: its address and key are kept for the next commands."))(login)
app.command(help=say("Check this machine's way to the server: each problem comes with its cure."))(doctor)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"gateway {version()}\n")
        raise typer.Exit


@app.callback()
def options(
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help=say("The server; default: GATEWAY_URL, else the profile.")),
    ] = None,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help=say("Print the version."))
    ] = False,
) -> None:
    Address.url = url


def main() -> NoReturn:
    """Run the command; the exit code tells the outcome."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    command = translate(typer.main.get_command(app))
    sys.exit(_run(command))


def _run(command: Any) -> int:
    try:
        return int(command.main(prog_name="gateway", standalone_mode=False) or 0)
    except GatewayError as exc:
        _refuse(error_sentence(exc), hint_of(exc), exc)
        return exits.of_error(exc)
    except (typer.Abort, KeyboardInterrupt):
        return exits.INTERRUPTED
    except BrokenPipeError:
        # Whoever read stdout (such as `head`) has enough.
        sys.stdout = None
        return exits.OK
    except OSError as exc:
        _refuse(f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc), "", None)
        return exits.FAILED
    except Exception as exc:
        sentence = usage_sentence(exc)
        if sentence is None:
            raise
        context = getattr(exc, "ctx", None)
        hint = say("Try: {command}", command=f"{context.command_path if context else 'gateway'} --help")
        _refuse(sentence, hint, None)
        return exits.USAGE


def _refuse(message: str, hint: str, error: GatewayError | None) -> None:
    if "--json" in sys.argv:
        said: dict[str, Any] = {"code": error.code if error else "usage", "message": message, "hint": hint}
        if error is not None:
            said |= {
                "status": error.status,
                "request_id": error.request_id,
                "errors": error.errors,
                **error.data,
            }
        sys.stderr.write(json.dumps({"error": said}, default=str) + "\n")
        return
    talk = Console(stderr=True, highlight=False)
    talk.print(Text.assemble(("✗ ", "red"), printable(message)), soft_wrap=True)
    if hint:
        talk.print(Text(f"  → {printable(hint)}", "yellow"), soft_wrap=True)
