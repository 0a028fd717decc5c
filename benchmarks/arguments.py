"""What can be asked of `python -m benchmarks` on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.bench import Options, Peer
from benchmarks.loads import LOADS, ON_DEMAND

COMPLETIONS = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which loads, how, and how to tell of it."""

    names: tuple[str, ...]
    options: Options
    provider: str
    """The base URL of a provider double that runs already; empty: one of our own."""
    json: bool


def parse(arguments: Sequence[str] | None = None) -> Asked:
    """Read the command line, or end the process with what is wrong about it."""
    parser = _parser()
    found = parser.parse_args(arguments)
    pids, usual = dict(found.peer_pid), Options()
    if unknown := set(pids) - {name for name, _ in found.peer}:
        parser.error(f"--peer-pid: there is no --peer {', '.join(sorted(unknown))}")
    options = Options(
        seconds=found.seconds,
        warm=found.warm,
        sustained=found.sustained or usual.sustained,
        stall=found.stall or usual.stall,
        calls=found.calls,
        workers=found.workers,
        seconds_per_call=found.seconds_per_call,
        peers=tuple(
            Peer(name, _completions(url), int(pids[name]) if name in pids else None) for name, url in found.peer
        ),
        peer_model=found.peer_model,
        peer_headers=dict(found.peer_header),
    )
    by_default = [name for name in LOADS if name not in ON_DEMAND or getattr(found, name)]
    return Asked(tuple(found.only or by_default), options, found.provider.rstrip("/"), found.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What the gateway adds and costs.")
    add = parser.add_argument
    usual = Options()
    add("--only", nargs="+", choices=tuple(LOADS), metavar="LOAD", help=f"of {', '.join(LOADS)}")
    add("--seconds", type=float, default=usual.seconds, help="of each load (default: %(default)g)")
    add("--warm", type=float, default=usual.warm, help="of a load before the first, not counted (default: %(default)g)")
    add("--sustained", type=float, metavar="SECONDS", help="run the sustained load too, for so long (the bar: 300)")
    add("--stall", type=float, metavar="SECONDS", help="run the stall load too, for so long (the bar: 600)")
    add("--calls", type=int, default=usual.calls, help="slow calls at once (default: %(default)s)")
    add("--workers", type=int, default=usual.workers, help="call workers for them, 4 at most (default: %(default)s)")
    add("--seconds-per-call", type=float, default=usual.seconds_per_call, help="of a slow call (default: %(default)g)")
    add("--peer", type=_pair("="), action="append", default=[], metavar="NAME=URL", help="another gateway")
    add("--peer-pid", type=_pair("="), action="append", default=[], metavar="NAME=PID", help="so that its CPU counts")
    add("--peer-model", default=usual.peer_model, help="what to ask peers for (default: %(default)s)")
    add("--peer-header", type=_pair(":"), action="append", default=[], metavar="'NAME: VALUE'", help="for every peer")
    add("--provider", default="", metavar="URL", help="a `python -m benchmarks.provider` that runs, as peers call it")
    add("--json", action="store_true", help="print JSON")
    return parser


class _pair:  # noqa: N801 - argparse names it in its errors
    """Reads `name=value`."""

    __name__ = "pair"

    def __init__(self, between: str) -> None:
        self._between = between

    def __call__(self, text: str) -> tuple[str, str]:
        name, between, value = text.partition(self._between)
        if not (name and between and value):
            raise argparse.ArgumentTypeError(f"{text!r} is not like name{self._between}value")
        return name.strip(), value.strip()


def _completions(url: str) -> str:
    """An address without a path is one of a gateway with the usual path."""
    return url if urlsplit(url).path.strip("/") else url.rstrip("/") + COMPLETIONS
