"""A run's result, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from tests.chaos.recovery import Recovery
from tests.chaos.run import Result

SHOWN = 5
"""Of what a line does not hold for, as many are named."""


def as_json(result: Result) -> str:
    return json.dumps({"holds": result.ledger.holds, **asdict(result)}, indent=2)


def show(result: Result, console: Console) -> None:
    console.print(_recoveries(result.recoveries))
    console.print(_ledger(result))
    console.print(_counts(result))
    verdict = "the ledger holds" if result.ledger.holds else "THE LEDGER DOES NOT HOLD"
    console.print(f"{verdict} ({result.seconds:.0f} s, {result.rate:g} requests/s, seed {result.seed})")


def _recoveries(recoveries: Sequence[Recovery]) -> Table:
    table = Table(title="time to recover, in seconds")
    for column in ("fault", "lasted", "first answer", "longest wait", "stored again", "requests", "not answered"):
        table.add_column(column, justify="left" if column == "fault" else "right")
    for one in recoveries:
        times = (one.lasted_s, one.first_s, one.longest_s, one.stored_s)
        told = ("-" if time is None else f"{time:.1f}" for time in times)
        table.add_row(one.fault, *told, str(one.requests), str(one.not_answered))
    return table


def _ledger(result: Result) -> Table:
    table = Table(title="ledger")
    table.add_column("claim")
    table.add_column("looked at", justify="right")
    table.add_column("broken", justify="right")
    table.add_column("such as")
    for line in result.ledger.lines:
        table.add_row(line.claim, str(line.looked_at), str(len(line.broken)), "\n".join(line.broken[:SHOWN]))
    return table


def _counts(result: Result) -> Table:
    table = Table(title="besides")
    table.add_column("what")
    table.add_column("how many", justify="right")
    for what, count in result.ledger.counts.items():
        table.add_row(what, str(count))
    return table
