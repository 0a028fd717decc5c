from __future__ import annotations

import pytest

from connectors.http_client import Response
from connectors.providers.anthropic.errors import read_error, reset_s

NOON_S = 1_767_268_800.0  # 2026-01-01T12:00:00Z
USED_UP = {"anthropic-ratelimit-requests-remaining": "0"}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({**USED_UP, "anthropic-ratelimit-requests-reset": "2026-01-01T12:00:30Z"}, 30.0),
        ({**USED_UP, "anthropic-ratelimit-requests-reset": "1767268830"}, 30.0),
        ({**USED_UP, "anthropic-ratelimit-requests-reset": "2026-01-01T11:00:00Z"}, None),
        ({**USED_UP, "anthropic-ratelimit-requests-reset": "2027-01-01T12:00:00Z"}, None),
        ({**USED_UP, "anthropic-ratelimit-requests-reset": "soon"}, None),
        ({"anthropic-ratelimit-tokens-remaining": "5", "anthropic-ratelimit-tokens-reset": "1767268830"}, None),
        (
            {
                **USED_UP,
                "anthropic-ratelimit-requests-reset": "1767268830",
                "anthropic-ratelimit-output-tokens-remaining": "0",
                "anthropic-ratelimit-output-tokens-reset": "1767268850",
            },
            50.0,
        ),
    ],
)
def test_retry_delay_is_the_last_exhausted_limits_reset(headers: dict[str, str], expected: float | None) -> None:
    assert reset_s(headers, NOON_S) == expected


def test_retry_after_precedes_limit_resets() -> None:
    reset = {**USED_UP, "anthropic-ratelimit-requests-reset": "2999-01-01T00:00:00Z"}

    error = read_error(Response(429, {"retry-after": "7", **reset}, b"{}"))

    assert error.retry_after_s == 7.0


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"[]", b'{"error": "x"}', b'{"error": {"details": {"error_code": []}}}']
)
def test_any_error_body_is_classified_by_status(content: bytes) -> None:
    assert read_error(Response(529, {}, content)).error_type == "capacity"
