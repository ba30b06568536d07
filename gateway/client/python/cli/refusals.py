"""What goes wrong, said in this terminal's language as far as it is ours to say."""

from __future__ import annotations

import re
from typing import Any

import typer

from gateway.client.python.cli.speech import say
from gateway.errors import (
    GatewayError,
    NotSignedIn,
    TaskNotFound,
    TraceNotFound,
    Unreachable,
    WorkspaceNotFound,
)

# The parser's errors; where they are defined differs between versions of typer.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


NO_COMMAND = re.compile(r"No such command '(?P<name>.*?)'\.(?: Did you mean '(?P<likely>[^']+)')?")

# What is said in English where no terminal's language is known; here it is.
SENTENCES = (
    "{url} cannot be reached.",
    "{url} did not answer within {seconds} s.",
    "The connection to {url} broke.",
    "{url} ended the stream early.",
    "There is no API key for {url}.",
    "The API key is wrong, expired or revoked.",
    "There is no task {id}.",
    "There is no trace {id}.",
    "There is no workspace '{id}'.",
    "There is no file '{path}' in the workspace.",
)
PATTERNS = {
    sentence: re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(sentence))) for sentence in SENTENCES
}


def error_sentence(error: GatewayError) -> str:
    """What is wrong."""
    for sentence, pattern in PATTERNS.items():
        if found := pattern.fullmatch(error.message):
            return say(sentence, **found.groupdict())
    return error.message


def hint_of(error: GatewayError) -> str:
    """What to do, by commands instead of by Python."""
    if isinstance(error, TaskNotFound):
        return say("See the ids: {command}", command="gateway task list")
    if isinstance(error, TraceNotFound):
        return say("See the ids: {command}", command="gateway trace list")
    if isinstance(error, WorkspaceNotFound):
        return say("See the ids: {command}", command="gateway workspace list")
    if isinstance(error, NotSignedIn):
        return say("Sign in with `gateway login`, or set GATEWAY_API_KEY.")
    if isinstance(error, Unreachable) and error.hint == Unreachable.default_hint:
        return say("Check the address (GATEWAY_URL) and that Gateway runs there: `make run`.")
    return error.hint


def usage_sentence(error: Exception) -> str | None:
    """What is wrong with the command line; None if the error is none of the parser's."""
    if not isinstance(error, UsageError):
        return None
    kind = type(error).__name__
    parser_error: Any = error
    if kind == "MissingParameter":
        return say("Missing: {name}", name=_name(parser_error))
    if kind == "NoSuchOption":
        return say("There is no option {name}.", name=parser_error.option_name) + _meant(
            next(iter(parser_error.possibilities or ()), None)
        )
    if kind == "BadParameter":
        return f"{_name(parser_error)}: {parser_error.message}"
    message = str(parser_error.format_message())
    if found := NO_COMMAND.match(message):
        return say("There is no command {name}.", name=found["name"]) + _meant(found["likely"])
    return message


def _name(error: Any) -> str:
    if error.param_hint:
        return error.param_hint if isinstance(error.param_hint, str) else " / ".join(error.param_hint)
    if error.param is None:
        return ""
    is_option = error.param.param_type_name == "option"
    return str(
        max(error.param.opts, key=len) if is_option else error.param.metavar or error.param.name.upper()
    )


def _meant(likely: str | None) -> str:
    return ("" if say.language == "zh" else " ") + say("Did you mean {name}?", name=likely) if likely else ""
