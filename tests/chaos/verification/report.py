"""Report of a run, as tables or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from tests.chaos.run import Result
from tests.chaos.verification.recovery import Recovery

MAX_EXAMPLES = 5
"""Broken things that the table shows of each claim."""


def to_json(result: Result) -> str:
    return json.dumps({"holds": result.ledger.holds, **asdict(result)}, indent=2)


def print_report(result: Result, console: Console) -> None:
    console.print(_recoveries(result.recoveries))
    console.print(_ledger(result))
    console.print(_counts(result))
    verdict = "every claim holds" if result.ledger.holds else "A CLAIM IS BROKEN"
    console.print(f"{verdict} ({result.seconds:.0f} s, {result.rate:g} requests/s, seed {result.seed})")


def _recoveries(recoveries: Sequence[Recovery]) -> Table:
    table = Table(title="time to recover, in seconds")
    for column in ("fault", "lasted", "first answer", "longest wait", "stored again", "requests", "not answered"):
        table.add_column(column, justify="left" if column == "fault" else "right")
    for one in recoveries:
        times = (one.lasted_s, one.first_s, one.longest_s, one.stored_s)
        texts = ("-" if time is None else f"{time:.1f}" for time in times)
        table.add_row(one.fault, *texts, str(one.requests), str(one.not_answered))
    return table


def _ledger(result: Result) -> Table:
    table = Table(title="ledger")
    table.add_column("claim")
    table.add_column("checked", justify="right")
    table.add_column("broken", justify="right")
    table.add_column("examples")
    for line in result.ledger.lines:
        table.add_row(line.claim, str(line.checked), str(len(line.broken)), "\n".join(line.broken[:MAX_EXAMPLES]))
    return table


def _counts(result: Result) -> Table:
    table = Table(title="counts")
    table.add_column("count of")
    table.add_column("count", justify="right")
    for name, count in result.ledger.counts.items():
        table.add_row(name, str(count))
    return table
