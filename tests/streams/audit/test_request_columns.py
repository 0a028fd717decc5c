from __future__ import annotations

import dataclasses

from schemas.events.catalog import RequestSettled
from schemas.events.parts import Failure, Usage
from streams.audit import tables as columns
from streams.audit.request_columns import VERSIONS
from tests.fixtures.rows import NOW, REQUEST, SETTLED, TOPICS, record, request_of


def test_settled_request_has_the_duration_of_each_stage() -> None:
    row = request_of(record(TOPICS.outcomes.name, SETTLED))

    assert row is not None
    assert [row[name] for name in ("filter_ms", "route_ms", "queue_ms", "call_ms", "duration_ms")] == [1, 2, 3, 10, 20]
    assert (row["input"], row["output"], row["cost_usd"], row["http_status"]) == ("asked", "answered", "0.000012", 200)
    assert row["version"] == VERSIONS - 41


def test_refused_request_has_null_durations() -> None:
    failure = Failure(status=403, type="permission_error", code="policy_violation", message="refused by deny.x")
    refused = RequestSettled(request=REQUEST, outcome="refused", failure=failure, settled_at=NOW + 1)

    row = request_of(record(TOPICS.outcomes.name, refused))

    assert row is not None
    assert (row["filter_ms"], row["route_ms"], row["queue_ms"], row["call_ms"]) == (None, None, None, None)
    assert (row["error_type"], row["http_status"], row["cost_usd"]) == ("policy_violation", 403, None)


def test_values_out_of_range_become_the_nearest_valid_value() -> None:
    out_of_range = dataclasses.replace(
        SETTLED,
        request=dataclasses.replace(REQUEST, received_at=10**15, request_id="no uuid"),
        usage=Usage(input_tokens=2**40, output_tokens=-1),
        settled_at=-5,
        cost_usd="NaN",
        attempts=2**20,
        model="m" * 1000,
    )

    row = request_of(record(TOPICS.outcomes.name, out_of_range))

    assert row is not None
    assert (row["received_at"], row["settled_at"], row["duration_ms"]) == (columns.LATEST_MS, 0, 0)
    assert (row["input_tokens"], row["output_tokens"], row["attempts"]) == (2**32 - 1, 0, 2**16 - 1)
    assert (row["request_id"], row["cost_usd"], len(row["request_model"])) == (columns.NIL, None, columns.NAME_LENGTH)
