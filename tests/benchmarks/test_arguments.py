from __future__ import annotations

import pytest

from benchmarks.arguments import parse
from benchmarks.bench import Peer


@pytest.mark.parametrize(("name", "bar"), [("sustained", 300), ("stall", 600)])
def test_a_load_of_minutes_runs_only_if_it_is_asked_for(name: str, bar: float) -> None:
    usual, longer, alone = parse([]), parse([f"--{name}", "60"]), parse(["--only", name])

    assert name not in usual.names
    assert longer.names[-1] == name
    assert getattr(longer.options, name) == 60
    assert (alone.names, getattr(alone.options, name)) == ((name,), bar)


def test_a_peer_is_an_address_with_a_process_whose_cpu_counts() -> None:
    arguments = ["--peer", "a=http://127.0.0.1:1", "--peer", "b=http://127.0.0.1:2/gateway/chat", "--peer-pid", "a=7"]

    peers = parse(arguments).options.peers

    assert peers == (
        Peer("a", "http://127.0.0.1:1/v1/chat/completions", 7),
        Peer("b", "http://127.0.0.1:2/gateway/chat"),
    )


@pytest.mark.parametrize("wrong", [["--peer", "a"], ["--peer-pid", "a=7"], ["--only", "nothing"]], ids=" ".join)
def test_what_makes_no_sense_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(wrong)

    assert wrong[0] in capsys.readouterr().err
