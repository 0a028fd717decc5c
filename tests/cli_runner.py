"""What `sluice` understands, for the tests that hold files and pages to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from streams.cli.main import main


def parse_command(arguments: Sequence[str]) -> dict[str, Any]:
    """The options before the command's name; nothing is run.

    Raises:
        click.ClickException: the command, an option or an argument is not one.

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


def named(words: Sequence[str]) -> None:
    """The same for a command in a sentence, which may leave out what it needs.

    Raises:
        click.ClickException: a command or an option of these names does not exist.

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
