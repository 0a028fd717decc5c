"""Tests that the `sluice` commands in the Makefile exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli_runner import parse_command

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
COMMANDS = [line.split() for line in re.findall(r"@\$\(BIN\)/sluice (.+)", MAKEFILE)]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_exists_with_its_options_and_files(arguments: list[str]) -> None:
    options = parse_command(arguments)

    assert options.get("config") is None or (ROOT / options["config"]).exists()


def test_every_target_has_a_help_text() -> None:
    phony = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[0].split()

    explained = re.findall(r"^([a-z-]+):.*?## ", MAKEFILE, re.MULTILINE)

    assert sorted(phony) == sorted(explained)
