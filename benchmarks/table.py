"""Results as tables and as JSON."""

from __future__ import annotations

import platform
from collections.abc import Mapping

import orjson
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.bench import Bench, Row

LEFT_ALIGNED = frozenset({"load", "by process"})


def machine() -> str:
    """Describe the machine."""
    return f"{psutil.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def as_json(bench: Bench) -> str:
    """Return all results; units are in the names, and null means not measured."""
    document = {"machine": machine(), "rows": bench.rows, "notes": bench.notes}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def show(bench: Bench) -> None:
    """Print the tables."""
    console = Console(width=210, highlight=False)
    console.print(_table("Sluice: 1 KB prompts, audit on, CPU of all processes", [_figures(row) for row in bench.rows]))
    console.print(
        _table("Memory, MB resident: start / middle / end", [_memory(row) for row in bench.rows if row.cpu_ms])
    )
    for note in (*bench.notes, f"machine: {machine()}"):
        console.print(note, markup=False)


def _table(title: str, rows: list[dict[str, str]]) -> Table:
    table = Table(title=title)
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        table.add_column(name, justify="left" if name in LEFT_ALIGNED else "right")
    for row in rows:
        table.add_row(*(row.get(name, "") for name in names))
    return table


def _figures(row: Row) -> dict[str, str]:
    return {
        "load": row.load,
        "p50 ms": _figure(row.p50_ms),
        "p95 ms": _figure(row.p95_ms),
        "p99 ms": _figure(row.p99_ms),
        "added p50": _figure(row.added_p50_ms),
        "added p99": _figure(row.added_p99_ms),
        "req/s": f"{row.rate:.0f}",
        "errors": ", ".join(f"{error}: {count}" for error, count in row.errors.items()) or "0",
        "CPU ms/req": f"{sum(row.cpu_ms.values()):.2f}" if row.cpu_ms else "",
        "by process": _each(row.cpu_ms) if len(row.cpu_ms) > 1 else "",
        "client CPU": f"{row.client_cpu_ms:.2f}",
        "stored p99 ms": _figure(row.stored_p99_ms, 0),
    }


def _memory(row: Row) -> dict[str, str]:
    spans = {name: " / ".join(f"{mb:.0f}" for mb in seen) for name, seen in row.memory_mb.items()}
    return {"load": row.load} | spans


def _figure(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _each(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {figure:.2f}" for name, figure in figures.items())
