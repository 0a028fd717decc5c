"""The columns of our tables as Python sees them: what stands in one that nobody filled, and what it can hold at most.

A value that a column can't hold is brought to the nearest that it can: a wild clock or count must not stop the log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

NIL = "00000000-0000-0000-0000-000000000000"
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
LATEST_MS = 4_102_444_800_000
"""The year 2100: ClickHouse keeps seconds in 32 bits wherever it compares with now()."""
NAME_LENGTH = 256
"""Of what should be one of few names, but may come from a caller."""
MAX_COST_USD = Decimal(10) ** 6

Fit = Callable[[Any], object]


def _within(most: int) -> Fit:
    def fit(value: int) -> int:
        return value if 0 <= value <= most else min(max(value, 0), most)

    return fit


def _nullable(fit: Fit) -> Fit:
    return lambda value: None if value is None else fit(value)


def _name(value: str) -> str:
    return value if len(value) <= NAME_LENGTH else value[:NAME_LENGTH]


def _names(value: Iterable[str]) -> list[str]:
    return [_name(item) for item in value]


def _map(value: Mapping[str, str]) -> dict[str, str]:
    return {_name(key): item for key, item in value.items()}


def _uuid(value: object) -> str:
    return str(value) if _UUID.fullmatch(str(value)) else NIL


def _cost(value: object) -> str | None:
    """US dollars as text; None if they are unknown, or nothing that could be a price."""
    try:
        cost = Decimal(str(value))
    except InvalidOperation:
        return None
    return f"{cost:f}" if cost.is_finite() and abs(cost) < MAX_COST_USD else None


_U16, _U32, _U64, _TIME = (_within(most) for most in (2**16 - 1, 2**32 - 1, 2**64 - 1, LATEST_MS))
_KINDS: dict[str, tuple[object, Fit]] = {
    "text": ("", str),
    "name": ("", _name),
    "names": ((), _names),
    "map": ({}, _map),
    "uuid": (NIL, _uuid),
    "cost": (None, _nullable(_cost)),
    "time": (0, _TIME),
    "time?": (None, _nullable(_TIME)),
    "u16": (0, _U16),
    "u32": (0, _U32),
    "u32?": (None, _nullable(_U32)),
    "u64": (0, _U64),
}


class Table:
    """The columns of one table, told by kind, each kind with its names."""

    def __init__(self, **kinds: str) -> None:
        by_kind = {"optional_time": "time?", "optional_u32": "u32?"}
        columns = {name: _KINDS[by_kind.get(kind, kind)] for kind, names in kinds.items() for name in names.split()}
        assert len(columns) == sum(len(names.split()) for names in kinds.values()), "a column has two kinds"
        self.names = tuple(columns)
        self._blanks = [blank for blank, _ in columns.values()]
        self._places = {name: (place, fit) for place, (name, (_, fit)) in enumerate(columns.items())}

    def row(self, *told: Mapping[str, object]) -> list[object]:
        """Values in the order of the columns, each as its column can hold it; of two for one column, the later one.

        What is for no column is left out.
        """
        made, places = self._blanks.copy(), self._places
        for values in told:
            for name, value in values.items():
                if name in places:
                    place, fit = places[name]
                    made[place] = fit(value)
        return made


EVENTS = Table(
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
"""Of ``events_log``; the table fills ``ingested_at`` itself."""

REQUESTS = Table(
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
"""Of ``requests_log``."""
