"""What `make chaos` takes."""

from __future__ import annotations

import argparse
import itertools
import re
from pathlib import Path

import pytest

from tests.chaos.__main__ import make_parser, names, schedule, seconds
from tests.chaos.faults import FAULTS

MAKEFILE = (Path(__file__).parents[2] / "Makefile").read_text("utf-8")


@pytest.mark.parametrize(("text", "meant"), [("90", 90), ("90s", 90), ("30m", 1800), ("1.5h", 5400)])
def test_a_duration_is_read(text: str, meant: float) -> None:
    assert seconds(text) == meant


def test_what_is_no_duration_is_refused() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write 90s, 30m or 2h"):
        seconds("a while")


def test_a_part_of_a_name_means_every_fault_that_has_it() -> None:
    assert names("provider,poison") == [name for name in FAULTS if name.startswith(("provider", "poison"))]


def test_a_fault_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="kill-call"):
        names("earthquake")


def test_without_a_duration_each_fault_happens_once_and_in_order() -> None:
    assert list(schedule(list(FAULTS), None, None)) == list(FAULTS)


def test_the_same_seed_shuffles_the_same_way() -> None:
    first, again = (list(itertools.islice(schedule(list(FAULTS), 60.0, 7), 50)) for _ in range(2))

    assert first == again
    assert set(first) == set(FAULTS)


def test_what_make_passes_on_is_understood() -> None:
    (recipe,) = re.findall(r"-m tests\.chaos (.+)", MAKEFILE)
    options = re.findall(r",(--[a-z]+)", recipe)

    known = make_parser().format_help()

    assert options
    assert [option for option in options if option not in known] == []
