"""The columns of our tables as Python sees them: what stands in one that nobody filled, and what it can hold at most.

A value that a column can't hold is brought to the nearest that it can: a wild clock or count must not stop the log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from operator import call, itemgetter
from typing import Any

NIL = "00000000-0000-0000-0000-000000000000"
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
LATEST_MS = 4_102_444_800_000
"""The year 2100: ClickHouse keeps seconds in 32 bits wherever it compares with now()."""
NAME_LENGTH = 256
"""Of what should be one of few names, but may come from a caller."""
MAX_COST_USD = Decimal(10) ** 6
_SMALLEST = -12
"""The power of ten of the column's last digit."""

Row = tuple[Any, ...]
"""Values in the order of a table's columns, as they were told."""
Values = Sequence[Any]
"""What stands in one column, row by row; one row at least."""
Fit = Callable[[Values], Values]
"""Brings the values of a column to what it can hold."""


def _as_they_are(values: Values) -> Values:
    return values


def _within(most: int) -> Fit:
    def fit(values: Values) -> Values:
        if min(values) >= 0 and max(values) <= most:
            return values
        return [min(max(value, 0), most) for value in values]

    return fit


def _nullable(fit: Fit) -> Fit:
    def fit_or_none(values: Values) -> Values:
        there = iter(fit([value for value in values if value is not None] or [0]))
        return [None if value is None else next(there) for value in values]

    return fit_or_none


def _names(values: Values) -> Values:
    if max(map(len, values)) <= NAME_LENGTH:
        return values
    return [value[:NAME_LENGTH] for value in values]


def _each(fit: Callable[[Any], object]) -> Fit:
    """Fit each that is not empty."""
    return lambda values: [fit(value) if value else value for value in values]


def _different(fit: Callable[[Any], object]) -> Fit:
    """Fit each value once, however many rows have it."""

    def fit_all(values: Values) -> Values:
        fitting = {value: fit(value) for value in set(values)}
        return [fitting[value] for value in values]

    return fit_all


def _map(value: Mapping[str, str]) -> Mapping[str, str]:
    return value if max(map(len, value)) <= NAME_LENGTH else {key[:NAME_LENGTH]: item for key, item in value.items()}


def _uuid(value: object) -> str:
    return str(value) if _UUID.fullmatch(str(value)) else NIL


def _cost(value: object) -> str | None:
    """US dollars as text; None if they are unknown, or nothing that could be a price."""
    try:
        cost = Decimal(str(value))
        within = cost.is_finite() and abs(cost) < MAX_COST_USD
    except ArithmeticError:
        return None
    if not within:
        return None
    return f"{cost:f}" if cost.adjusted() >= _SMALLEST else "0"


_U16, _U32, _U64, _TIME = (_within(most) for most in (2**16 - 1, 2**32 - 1, 2**64 - 1, LATEST_MS))
_KINDS: dict[str, tuple[object, Fit]] = {
    "text": ("", _as_they_are),
    "name": ("", _names),
    "names": ((), _each(_names)),
    "map": ({}, _each(_map)),
    "uuid": (NIL, _different(_uuid)),
    "cost": (None, _different(_cost)),
    "time": (0, _TIME),
    "time?": (None, _nullable(_TIME)),
    "u16": (0, _U16),
    "u32": (0, _U32),
    "u32?": (None, _nullable(_U32)),
    "u64": (0, _U64),
}


class Table:
    """The columns of one table, told by kind, each kind with its names."""

    def __init__(self, table: str, /, **kinds: str) -> None:
        by_kind = {"optional_time": "time?", "optional_u32": "u32?"}
        columns = {of: _KINDS[by_kind.get(kind, kind)] for kind, names in kinds.items() for of in names.split()}
        assert len(columns) == sum(len(names.split()) for names in kinds.values()), "a column has two kinds"
        self.name = table
        self.names = tuple(columns)
        self._blanks = {of: blank for of, (blank, _) in columns.items()}
        self._fits = tuple(fit for _, fit in columns.values())
        self._in_order = itemgetter(*columns)

    def row(self, *told: Mapping[str, object]) -> Row:
        """Values in the order of the columns; of two for one column, the later one.

        What is for no column is left out.
        """
        made = self._blanks.copy()
        for values in told:
            made.update(values)
        row: Row = self._in_order(made)
        return row

    def fitted(self, rows: Iterable[Row]) -> list[Row]:
        """The same rows, each value as its column can hold it: nearly all are so, which one look at a column tells."""
        return list(zip(*map(call, self._fits, zip(*rows, strict=True)), strict=True))


EVENTS = Table(
    "events_log",
    name="tenant event_type event_id stage source key_id operation provider request_model provider_model"
    " response_model outcome error_type worker config_hash kafka_topic idempotency_key correlation_id trace_id",
    text="error_message input output",
    uuid="request_id",
    time="event_time",
    u16="http_status attempt kafka_partition",
    u32="input_tokens output_tokens cache_read_input_tokens cache_creation_input_tokens reasoning_output_tokens"
    " duration_ms bytes",
    u64="kafka_offset",
    cost="cost_usd",
    names="finish_reasons policy_actions",
    map="labels attributes",
)
"""The table fills ``ingested_at`` itself."""

REQUESTS = Table(
    "requests_log",
    name="tenant key_id source operation request_model provider provider_model response_model response_id outcome"
    " error_type config_hash idempotency_key trace_id",
    text="error_message input output",
    uuid="request_id",
    time="received_at settled_at deadline_at",
    optional_time="admitted_at routed_at called_at answered_at",
    u16="http_status attempts kafka_partition",
    u32="input_tokens output_tokens cache_read_input_tokens cache_creation_input_tokens reasoning_output_tokens"
    " duration_ms",
    optional_u32="filter_ms route_ms queue_ms call_ms",
    u64="kafka_offset version",
    cost="cost_usd",
    names="finish_reasons policy_actions",
    map="labels",
)
