"""Tests of the command line of `make chaos`."""

from __future__ import annotations

import argparse
import itertools
import re
from pathlib import Path

import pytest

from tests.chaos.__main__ import make_parser, parse_duration, parse_faults, schedule
from tests.chaos.faults import FAULTS

MAKEFILE = (Path(__file__).parents[2] / "Makefile").read_text("utf-8")


@pytest.mark.parametrize(("text", "expected"), [("90", 90), ("90s", 90), ("30m", 1800), ("1.5h", 5400)])
def test_duration_is_parsed_to_seconds(text: str, expected: float) -> None:
    assert parse_duration(text) == expected


def test_invalid_duration_is_a_usage_error() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write 90s, 30m or 2h"):
        parse_duration("a while")


def test_part_of_a_name_selects_every_fault_with_it() -> None:
    assert parse_faults("provider,poison") == [name for name in FAULTS if name.startswith(("provider", "poison"))]


def test_unknown_fault_is_a_usage_error_that_lists_all_faults() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="kill-call"):
        parse_faults("earthquake")


def test_schedule_without_a_duration_has_each_fault_once_in_order() -> None:
    assert list(schedule(list(FAULTS), None, None)) == list(FAULTS)


def test_schedule_with_the_same_seed_is_the_same() -> None:
    first, again = (list(itertools.islice(schedule(list(FAULTS), 60.0, 7), 50)) for _ in range(2))

    assert first == again
    assert set(first) == set(FAULTS)


def test_options_that_make_passes_exist() -> None:
    (recipe,) = re.findall(r"-m tests\.chaos (.+)", MAKEFILE)
    options = re.findall(r",(--[a-z]+)", recipe)

    known = make_parser().format_help()

    assert options
    assert [option for option in options if option not in known] == []
