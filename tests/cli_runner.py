"""Parses `sluice` command lines without running them, for tests of files and pages that contain them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from streams.cli.main import main


def parse_command(arguments: Sequence[str]) -> dict[str, Any]:
    """Parse a complete command line and return the options before the command's name.

    Raises:
        click.ClickException: a command, an option or an argument is invalid.

    """
    context = click.Context(main, info_name="sluice", **main.context_settings)
    options, rest, _ = main.make_parser(context).parse_args(list(arguments))
    group: click.Group = main
    while True:
        name, command, rest = group.resolve_command(context, rest)
        assert command is not None
        context = command.make_context(name, list(rest), parent=context)
        if not isinstance(command, click.Group):
            return dict(options)
        group = command


def check_names(words: Sequence[str]) -> None:
    """Check the command and option names of a command in prose, which may lack required arguments.

    Raises:
        click.ClickException: a command or an option does not exist.

    """
    command: click.Command = main
    context = click.Context(main, info_name="sluice", **main.context_settings)
    for word in words:
        if isinstance(command, click.Group) and not word.startswith("-"):
            _, inner, _ = command.resolve_command(context, [word])
            assert inner is not None
            command, context = inner, click.Context(inner, parent=context)
        elif word.startswith("-") and word not in _options(command, context):
            raise click.NoSuchOption(word, ctx=context)


def _options(command: click.Command, context: click.Context) -> set[str]:
    return {option for parameter in command.get_params(context) for option in parameter.opts}
