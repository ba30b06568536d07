"""The sentences of typer itself, in this terminal's language."""

from __future__ import annotations

from typing import Any

from typer import rich_utils

from gateway.client.python.cli.speech import say


def translate(command: Any) -> Any:
    """Let ``command`` speak of its own options in this terminal's language; returns it."""
    rich_utils.ARGUMENTS_PANEL_TITLE = say("Arguments")
    rich_utils.OPTIONS_PANEL_TITLE = say("Options")
    rich_utils.COMMANDS_PANEL_TITLE = say("Commands")
    rich_utils.DEFAULT_STRING = say("[default: {}]")
    rich_utils.REQUIRED_LONG_STRING = say("[required]")
    for param in command.params:
        if "--install-completion" in param.opts:
            param.help = say("Let the shell complete this command.")
        elif "--show-completion" in param.opts:
            param.help = say("Print the shell's completion of this command, to install it by hand.")
    _flags_and_help(command)
    return command


def _flags_and_help(command: Any) -> None:
    for param in command.params:
        if getattr(param, "is_flag", False):
            param.metavar = ""  # a flag takes no value; the word <bool> says nothing
    # Each command makes its help option when it is first asked for it.
    made = command.get_help_option

    def get_help_option(context: Any) -> Any:
        option = made(context)
        if option is not None:
            option.help, option.metavar = say("Show this message."), ""
        return option

    command.get_help_option = get_help_option
    for child in getattr(command, "commands", {}).values():
        _flags_and_help(child)
