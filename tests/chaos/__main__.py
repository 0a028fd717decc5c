"""`make chaos`: run the gateway on three brokers under load, inject faults, and check every request."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from tests.chaos.faults import FAULTS
from tests.chaos.run import run
from tests.chaos.verification import report

UNITS = {"s": 1, "m": 60, "h": 3600}


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as 90s, 30m or 2h."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration; write 90s, 30m or 2h")
    return float(found[1]) * UNITS[found[2] or "s"]


def parse_faults(text: str) -> list[str]:
    """Return the faults whose names contain one of these words: `kill` selects every fault that kills."""
    chosen = [name for name in FAULTS if any(part in name for part in text.split(","))]
    if not chosen:
        raise argparse.ArgumentTypeError(f"no fault has such a name; the faults are: {', '.join(FAULTS)}")
    return chosen


def schedule(chosen: list[str], duration_s: float | None, seed: int | None) -> Iterator[str]:
    """Yield each fault once and in order; with a duration, repeat until it is over; with a seed, shuffle."""
    end, shuffler = time.monotonic() + (duration_s or 0), random.Random(seed)
    while True:
        for name in shuffler.sample(chosen, len(chosen)) if seed is not None else chosen:
            yield name
            if duration_s is not None and time.monotonic() > end:
                return
        if duration_s is None:
            return


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument(
        "--duration",
        type=parse_duration,
        help="repeat the faults for this time, such as 30m [default: each fault once]",
    )
    parser.add_argument(
        "--faults",
        type=parse_faults,
        default=list(FAULTS),
        help="comma-separated names of faults, or parts of names [default: all]",
    )
    parser.add_argument("--seed", type=int, help="shuffle the faults; the same seed gives the same order")
    parser.add_argument("--rate", type=float, default=20.0, help="requests per second [default: 20]")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--keep", action="store_true", help="keep the processes' logs even if every claim holds")
    return parser


def main() -> int:
    """Run, print the result, and return the exit code: 0 if the ledger holds."""
    arguments = make_parser().parse_args()
    console = Console(stderr=arguments.json, highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="sluice-chaos-"))
    logging.basicConfig(filename=folder / "harness.log", force=True)  # of the harness' own Kafka clients
    began = time.monotonic()

    def print_progress(message: str) -> None:
        console.print(f"{time.monotonic() - began:6.0f} s  {message}", markup=False, soft_wrap=True)

    faults = schedule(arguments.faults, arguments.duration, arguments.seed)
    result = asyncio.run(run(folder, faults, rate=arguments.rate, seed=arguments.seed or 0, progress=print_progress))
    report.print_report(result, console)
    if arguments.json:
        sys.stdout.write(report.to_json(result) + "\n")
    if result.ledger.holds and not arguments.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        console.print(f"the logs of all processes are in {folder}", soft_wrap=True)
    return 0 if result.ledger.holds else 1


if __name__ == "__main__":
    sys.exit(main())
