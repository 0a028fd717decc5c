"""Expands a panel's SQL as Grafana and its ClickHouse plugin do.

First Grafana in the browser: ``$__conditionalAll`` and the dashboard's variables. Then the plugin's backend: its
macros. Only macros of the plugin (version 4.20) are expanded; any other is a fault of the panel.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

All: tuple[str, ...] = ()
"""Value of a variable when everything is selected."""


@dataclass(frozen=True)
class View:
    """Time range, interval and selected variables of a dashboard."""

    from_ms: int
    to_ms: int
    interval_ms: int = 10_000
    selected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Selected values by variable; a missing variable selects everything."""
    text: Mapping[str, str] = field(default_factory=dict)
    """Contents of the text boxes."""


class UnknownMacroError(Exception):
    """Neither Grafana nor the plugin expands this."""


def expand(sql: str, view: View) -> str:
    """Return the SQL that ClickHouse receives.

    Raises:
        UnknownMacroError: an expression that begins with a dollar sign remains.

    """
    sql = _each_call(sql, "conditionalAll", lambda args: _conditional(args, view))
    sql = re.sub(r"\$\{(\w+):singlequote\}", lambda match: _quoted(view.selected.get(match[1], All)), sql)
    sql = re.sub(r"\$(?!__)(\w+)", lambda match: view.text.get(match[1], ""), sql)
    for name, macro in _macros(view).items():
        sql = _each_call(sql, name, macro)
    sql = re.sub(r"\$__fromTime_ms\b", f"fromUnixTimestamp64Milli({view.from_ms})", sql)
    sql = re.sub(r"\$__toTime_ms\b", f"fromUnixTimestamp64Milli({view.to_ms})", sql)
    sql = re.sub(r"\$__interval_s\b", str(max(view.interval_ms // 1000, 1)), sql)
    if left := re.search(r"\$\S+", sql):
        raise UnknownMacroError(f"unknown macro: {left[0]}")
    return sql


def _macros(view: View) -> dict[str, Callable[[list[str]], str]]:
    lower, upper = f"fromUnixTimestamp64Milli({view.from_ms})", f"fromUnixTimestamp64Milli({view.to_ms})"
    seconds = max(view.interval_ms // 1000, 1)
    return {
        "timeFilter_ms": lambda args: f"{args[0]} >= {lower} AND {args[0]} <= {upper}",
        "timeInterval": lambda args: f"toStartOfInterval(toDateTime({args[0]}), INTERVAL {seconds} second)",
    }


def _conditional(args: list[str], view: View) -> str:
    condition, variable = args
    return condition if view.selected.get(variable.strip().lstrip("$"), All) else "1=1"


def _quoted(values: tuple[str, ...]) -> str:
    return ",".join("'" + value.replace("'", "\\'") + "'" for value in values)


def _each_call(sql: str, name: str, macro: Callable[[list[str]], str]) -> str:
    """Replace every ``$__name(…)``; commas inside inner parentheses do not separate arguments."""
    opening = f"$__{name}("
    while (start := sql.find(opening)) >= 0:
        args, end = _arguments(sql, start + len(opening))
        sql = sql[:start] + macro(args) + sql[end:]
    return sql


def _arguments(sql: str, position: int) -> tuple[list[str], int]:
    args, depth, begin = [], 1, position
    while depth:
        character = sql[position]
        depth += (character == "(") - (character == ")")
        if depth == 0 or (depth == 1 and character == ","):
            args.append(sql[begin:position])
            begin = position + 1
        position += 1
    return args, position
