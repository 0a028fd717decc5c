"""Tests of the command line of `python -m benchmarks`."""

from __future__ import annotations

import pytest

from benchmarks.arguments import parse
from benchmarks.bench import Peer


@pytest.mark.parametrize(("name", "target"), [("sustained", 300), ("stall", 600)])
def test_long_load_runs_only_if_it_or_its_duration_is_named(name: str, target: float) -> None:
    default, longer, alone = parse([]), parse([f"--{name}", "60"]), parse(["--only", name])

    assert name not in default.names
    assert longer.names[-1] == name
    assert getattr(longer.options, name) == 60
    assert (alone.names, getattr(alone.options, name)) == ((name,), target)


def test_peer_has_a_url_and_an_optional_process() -> None:
    arguments = ["--peer", "a=http://127.0.0.1:1", "--peer", "b=http://127.0.0.1:2/gateway/chat", "--peer-pid", "a=7"]

    peers = parse(arguments).options.peers

    assert peers == (
        Peer("a", "http://127.0.0.1:1/v1/chat/completions", 7),
        Peer("b", "http://127.0.0.1:2/gateway/chat"),
    )


@pytest.mark.parametrize("wrong", [["--peer", "a"], ["--peer-pid", "a=7"], ["--only", "nothing"]], ids=" ".join)
def test_wrong_argument_is_a_usage_error_that_names_it(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(wrong)

    assert wrong[0] in capsys.readouterr().err
