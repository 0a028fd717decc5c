"""`make chaos`: the whole gateway on three brokers, under load, while everything that can go wrong does."""

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

from tests.chaos import report
from tests.chaos.faults import FAULTS
from tests.chaos.run import run

UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """A duration such as 90s, 30m or 2h."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 90s, 30m or 2h")
    return float(found[1]) * UNITS[found[2] or "s"]


def names(text: str) -> list[str]:
    """Names of faults, or parts of them: `kill` is every fault that kills."""
    chosen = [name for name in FAULTS if any(part in name for part in text.split(","))]
    if not chosen:
        raise argparse.ArgumentTypeError(f"no fault is named so; there are: {', '.join(FAULTS)}")
    return chosen


def schedule(chosen: list[str], duration_s: float | None, seed: int | None) -> Iterator[str]:
    """Each once and in order; with a duration again and again until it is over; with a seed shuffled."""
    end, draw = time.monotonic() + (duration_s or 0), random.Random(seed)
    while True:
        for name in draw.sample(chosen, len(chosen)) if seed is not None else chosen:
            yield name
            if duration_s is not None and time.monotonic() > end:
                return
        if duration_s is None:
            return


def make_parser() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--duration", type=seconds, help="go on until it is over, for example 30m; else each once")
    parser.add_argument("--faults", type=names, default=list(FAULTS), help="names or parts of names, by commas")
    parser.add_argument("--seed", type=int, help="shuffle the faults; the same seed, the same order")
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second")
    parser.add_argument("--json", action="store_true", help="print the result for a program")
    parser.add_argument("--keep", action="store_true", help="keep the processes' logs also when all is well")
    return parser


def main() -> int:
    """Run, print, and say by the exit code whether the ledger holds."""
    asked = make_parser().parse_args()
    console = Console(stderr=asked.json, highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="sluice-chaos-"))
    logging.basicConfig(filename=folder / "harness.log", force=True)  # what its own Kafka clients complain of
    began = time.monotonic()

    def say(message: str) -> None:
        console.print(f"{time.monotonic() - began:6.0f} s  {message}", markup=False, soft_wrap=True)

    faults = schedule(asked.faults, asked.duration, asked.seed)
    result = asyncio.run(run(folder, faults, rate=asked.rate, seed=asked.seed or 0, say=say))
    report.show(result, console)
    if asked.json:
        sys.stdout.write(report.as_json(result) + "\n")
    if result.ledger.holds and not asked.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        console.print(f"what the processes said is in {folder}", soft_wrap=True)
    return 0 if result.ledger.holds else 1


if __name__ == "__main__":
    sys.exit(main())
