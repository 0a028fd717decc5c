"""Command line of `python -m benchmarks`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.bench import Options, Peer
from benchmarks.loads.catalog import LOADS, ON_DEMAND

COMPLETIONS = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Arguments:
    """Loads to run, their options, and the output format."""

    names: tuple[str, ...]
    options: Options
    provider: str
    """Base URL of a running provider double; empty to start one."""
    json: bool


def parse(arguments: Sequence[str] | None = None) -> Arguments:
    """Parse the command line; a wrong argument exits with a usage error."""
    parser = _parser()
    found = parser.parse_args(arguments)
    pids, defaults = dict(found.peer_pid), Options()
    if unknown := set(pids) - {name for name, _ in found.peer}:
        parser.error(f"--peer-pid: there is no --peer {', '.join(sorted(unknown))}")
    options = Options(
        seconds=found.seconds,
        warm=found.warm,
        sustained=found.sustained or defaults.sustained,
        stall=found.stall or defaults.stall,
        calls=found.calls,
        workers=found.workers,
        seconds_per_call=found.seconds_per_call,
        peers=tuple(
            Peer(name, _completions(url), int(pids[name]) if name in pids else None) for name, url in found.peer
        ),
        peer_model=found.peer_model,
        peer_headers=dict(found.peer_header),
    )
    by_default = [name for name in LOADS if name not in ON_DEMAND or getattr(found, name, None)]
    return Arguments(tuple(found.only or by_default), options, found.provider.rstrip("/"), found.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure added latency, throughput, CPU and memory of the gateway."
    )
    add = parser.add_argument
    defaults = Options()
    add("--only", nargs="+", choices=tuple(LOADS), metavar="LOAD", help=f"loads to run: {', '.join(LOADS)}")
    add("--seconds", type=float, default=defaults.seconds, help="duration of each load (default: %(default)g)")
    add("--warm", type=float, default=defaults.warm, help="duration of the warm-up load (default: %(default)g)")
    add("--sustained", type=float, metavar="SECONDS", help="also run the sustained load, for this time (target: 300)")
    add("--stall", type=float, metavar="SECONDS", help="also run the stall load, for this time (target: 600)")
    add("--calls", type=int, default=defaults.calls, help="concurrent slow calls (default: %(default)s)")
    add(
        "--workers",
        type=int,
        default=defaults.workers,
        help="call workers for slow calls, at most 4 (default: %(default)s)",
    )
    add(
        "--seconds-per-call",
        type=float,
        default=defaults.seconds_per_call,
        help="duration of a slow call (default: %(default)g)",
    )
    add(
        "--peer",
        type=_pair("="),
        action="append",
        default=[],
        metavar="NAME=URL",
        help="another gateway to compare with",
    )
    add(
        "--peer-pid",
        type=_pair("="),
        action="append",
        default=[],
        metavar="NAME=PID",
        help="process of that gateway, to measure its CPU",
    )
    add("--peer-model", default=defaults.peer_model, help="model in requests to peers (default: %(default)s)")
    add(
        "--peer-header",
        type=_pair(":"),
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="header of requests to peers",
    )
    add("--provider", default="", metavar="URL", help="a running `python -m benchmarks.provider` that peers call")
    add("--json", action="store_true", help="print JSON")
    return parser


class _pair:  # noqa: N801 - argparse shows the name in errors
    """Type of arguments like `name=value`."""

    __name__ = "pair"

    def __init__(self, separator: str) -> None:
        self._separator = separator

    def __call__(self, text: str) -> tuple[str, str]:
        name, found, value = text.partition(self._separator)
        if not (name and found and value):
            raise argparse.ArgumentTypeError(f"{text!r} is not name{self._separator}value")
        return name.strip(), value.strip()


def _completions(url: str) -> str:
    """Return the URL, with the standard path if it has none."""
    return url if urlsplit(url).path.strip("/") else url.rstrip("/") + COMPLETIONS
