"""A run's result, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from tests.chaos.run import Recovery, Result

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


def _recoveries(recoveries: list[Recovery] | tuple[Recovery, ...] | object) -> Table:
    table = Table(title="time to recover")
    for column in ("fault", "lasted s", "first reply s", "longest wait s", "stored again s", "not answered"):
        table.add_column(column, justify="left" if column == "fault" else "right")
    assert isinstance(recoveries, list | tuple)
    for one in recoveries:
        figures = (one.lasted_s, one.first_s, one.longest_s, one.stored_s)
        table.add_row(
            one.fault, *("-" if figure is None else f"{figure:.1f}" for figure in figures), str(one.unanswered)
        )
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
