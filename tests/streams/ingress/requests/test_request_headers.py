from __future__ import annotations

import time

import pytest

from streams.ingress.errors import ApiError
from streams.ingress.requests.request_headers import prefers_async, read_metadata
from streams.pipeline.request_metadata import RequestMetadata


def read(headers: dict[bytes, bytes]) -> RequestMetadata:
    return read_metadata(headers, "chat")


def test_request_without_headers_has_defaults_and_the_current_time() -> None:
    metadata = read({})

    assert metadata == RequestMetadata(received_at=metadata.received_at, operation="chat")
    assert abs(metadata.received_at - time.time() * 1000) < 10_000


def test_headers_become_metadata() -> None:
    headers = {
        b"idempotency-key": b"order-7",
        b"x-sluice-lane": b"batch",
        b"x-request-timeout": b"1.5",
        b"traceparent": b"00-aa-bb-01",
    }

    metadata = read(headers)

    assert (metadata.idempotency_key, metadata.lane, metadata.timeout_ms) == ("order-7", "batch", 1500)
    assert metadata.traceparent == "00-aa-bb-01"


@pytest.mark.parametrize("key", [b"\xff", b"x" * 256])
def test_idempotency_key_that_is_too_long_or_not_utf8_is_refused(key: bytes) -> None:
    with pytest.raises(ApiError, match="Idempotency-Key"):
        read({b"idempotency-key": key})


@pytest.mark.parametrize(("value", "timeout_ms"), [(b"1.5", 1500), (b"1e9", 3_600_000), (b"0.0001", 0)])
def test_timeout_is_at_most_an_hour(value: bytes, timeout_ms: int) -> None:
    assert read({b"x-request-timeout": value}).timeout_ms == timeout_ms


@pytest.mark.parametrize("value", [b"soon", b"0", b"-1", b"nan", b""])
def test_timeout_that_is_no_positive_number_is_refused(value: bytes) -> None:
    with pytest.raises(ApiError, match="X-Request-Timeout"):
        read({b"x-request-timeout": value})


def test_unknown_lane_is_refused() -> None:
    with pytest.raises(ApiError, match="X-Sluice-Lane"):
        read({b"x-sluice-lane": b"express"})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"respond-async", True),
        (b"wait=10, Respond-Async", True),
        (b"respond-async;x=1", True),
        (b"no", False),
        (b"", False),
    ],
)
def test_respond_async_is_recognized_in_any_case_and_position(value: bytes, expected: bool) -> None:
    assert prefers_async({b"prefer": value}) is expected
