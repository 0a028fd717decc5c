"""Columns of ``events_log`` and ``requests_log``: the default and the range of each.

A value out of range becomes the nearest value in range, so that a wrong clock or count does not stop audit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any

from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.kafka.records import ConsumerRecord

NIL = "00000000-0000-0000-0000-000000000000"
_UUID = re.compile("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
LATEST_MS = 4_102_444_800_000
"""The year 2100. ClickHouse stores seconds in 32 bits where it compares with now()."""
NAME_LENGTH = 256
"""Longest value of a low-cardinality column, whose values may come from a caller."""
MAX_COST_USD = Decimal(10) ** 6
_SMALLEST_COST = -12
"""Power of ten of the column's last digit."""

Columns = dict[str, object]
"""Values of some rows by column: a list has one value per row; anything else is the value of all rows."""
Values = list[Any]
"""Values of one column, row by row; at least one row."""
Coercion = Callable[[Values], Values]
"""Converts the values of a column to its range."""


def _keep(values: Values) -> Values:
    return values


def _clamp_to(most: int) -> Coercion:
    def fit(values: Values) -> Values:
        if min(values) >= 0 and max(values) <= most:
            return values
        return [min(max(value, 0), most) for value in values]

    return fit


def _nullable(fit: Coercion) -> Coercion:
    def fit_or_none(values: Values) -> Values:
        if None not in values:
            return fit(values)
        fitted = iter(fit([value for value in values if value is not None] or [0]))
        return [None if value is None else next(fitted) for value in values]

    return fit_or_none


def _all_short(names: Iterable[str]) -> bool:
    return max(map(len, names), default=0) <= NAME_LENGTH


def _names(values: Values) -> Values:
    return values if _all_short(values) else [value[:NAME_LENGTH] for value in values]


def _lists(values: Values) -> Values:
    return values if _all_short(chain.from_iterable(values)) else [_names(list(value)) for value in values]


def _maps(values: Values) -> Values:
    if _all_short(chain.from_iterable(values)):
        return values
    return [{key[:NAME_LENGTH]: item for key, item in value.items()} for value in values]


def _uuids(values: Values) -> Values:
    if all(map(_UUID.fullmatch, values)):
        return values
    return [value if _UUID.fullmatch(value) else NIL for value in values]


def _costs(values: Values) -> Values:
    costs = {value: _cost(value) for value in set(values)}
    return [costs[value] for value in values]


def _cost(value: object) -> str | None:
    """Return US dollars as decimal text; None if the cost is unknown or out of range."""
    try:
        cost = Decimal(str(value))
        within = cost.is_finite() and abs(cost) < MAX_COST_USD
    except ArithmeticError:
        return None
    if not within:
        return None
    return f"{cost:f}" if cost.adjusted() >= _SMALLEST_COST else "0"


_U16, _U32, _U64, _TIME = (_clamp_to(most) for most in (2**16 - 1, 2**32 - 1, 2**64 - 1, LATEST_MS))
_KINDS: dict[str, tuple[object, Coercion]] = {
    "text": ("", _keep),
    "name": ("", _names),
    "names": ((), _lists),
    "map": ({}, _maps),
    "uuid": (NIL, _uuids),
    "cost": (None, _costs),
    "time": (0, _TIME),
    "time?": (None, _nullable(_TIME)),
    "u16": (0, _U16),
    "u32": (0, _U32),
    "u32?": (None, _nullable(_U32)),
    "u64": (0, _U64),
}


@frozen_slots
class Rows:
    """Rows of one table by column, in the order of its names, with the record of each row."""

    records: list[ConsumerRecord]
    columns: list[Values]

    def part(self, rows: slice) -> Rows:
        """Return a slice of the rows."""
        return Rows(self.records[rows], [column[rows] for column in self.columns])


class Table:
    """Columns of one table. Each keyword is a kind, and its value the names of the columns of that kind."""

    def __init__(self, table: str, /, **kinds: str) -> None:
        by_kind = {"optional_time": "time?", "optional_u32": "u32?"}
        self._columns = {of: _KINDS[by_kind.get(kind, kind)] for kind, names in kinds.items() for of in names.split()}
        assert len(self._columns) == sum(len(names.split()) for names in kinds.values()), "a column has two kinds"
        self.name = table
        self.names = tuple(self._columns)

    def build_rows(self, groups: Sequence[tuple[list[ConsumerRecord], Columns]]) -> Rows:
        """Return the rows of all groups, with each value in its column's range. No group may be empty.

        Values that belong to no column of this table are left out.
        """
        sizes = [(columns, len(records)) for records, columns in groups]
        records = list(chain.from_iterable(records for records, _ in groups))
        return Rows(records, [_column(sizes, name, *kind) for name, kind in self._columns.items()])


def _column(groups: list[tuple[Columns, int]], name: str, default: object, coerce: Coercion) -> Values:
    column: Values = []
    for columns, rows in groups:
        value = columns.get(name, default)
        if isinstance(value, list):
            column += coerce(value)
        else:
            column += ([default] if value is default else coerce([value])) * rows
    return column


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
"""ClickHouse fills ``ingested_at`` itself."""

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
