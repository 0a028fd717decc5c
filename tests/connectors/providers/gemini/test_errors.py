from __future__ import annotations

from typing import Any

import orjson
import pytest

from connectors.providers.gemini.errors import ERROR_INFO, QUOTA_FAILURE, RETRY_INFO, read_error, read_stream_error
from schemas.events.vocabulary import ErrorType


def content(message: str = "no", status: str = "", details: Any = ()) -> bytes:
    return orjson.dumps({"error": {"message": message, "status": status, "details": list(details)}})


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, content(details=[{"@type": ERROR_INFO, "reason": "API_KEY_INVALID"}]), "auth"),
        (400, content(status="FAILED_PRECONDITION"), "auth"),
        (400, content("the input exceeds the maximum number of tokens"), "context_length"),
        (429, content(details=[{"@type": QUOTA_FAILURE, "violations": [{"quotaId": "XPerDay"}]}]), "quota_exhausted"),
        (429, content(details=[{"@type": QUOTA_FAILURE, "violations": [{"quotaId": "XPerMinute"}]}]), "rate_limited"),
        (429, content("You exceeded your current quota, please retry in 7s"), "rate_limited"),
        (429, content("Quota exceeded, limit: 0"), "quota_exhausted"),
        (500, content(status="UNAVAILABLE"), "capacity"),
    ],
)
def test_error_type_follows_reason_quota_and_status(status: int, body: bytes, expected: ErrorType) -> None:
    assert read_error(status, {}, body).error_type == expected


def test_retry_delay_is_read_from_the_details_then_from_the_message() -> None:
    in_details = content("retry in 9s", details=[{"@type": RETRY_INFO, "retryDelay": "7.5s"}])

    assert read_error(429, {}, in_details).retry_after_s == 7.5
    assert read_error(429, {}, content("Please retry in 9s.")).retry_after_s == 9.0
    assert read_error(429, {}, content("no delay")).retry_after_s is None


def test_stream_error_has_the_type_of_its_code_and_status_200() -> None:
    error = read_stream_error({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}})

    assert (error.error_type, error.http_status) == ("capacity", 200)
