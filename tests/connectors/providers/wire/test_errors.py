from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.wire.errors import MAX_RETRY_AFTER_S, parse_error, read_error_details, retry_after_s
from schemas.events.vocabulary import ErrorType

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (429, {"error": {"message": "You exceeded your current quota, please check your plan"}}, "quota_exhausted"),
        (429, {"error": {"message": "no more", "code": "project_spend_limit_exceeded"}}, "quota_exhausted"),
        (429, {"error": {"message": "The system is experiencing high demand"}}, "capacity"),
        (429, {"message": "Too many tokens, please wait before trying again."}, "rate_limited"),
        (402, {"error": "pay first"}, "quota_exhausted"),
        (400, {"error": {"message": "This model's maximum context length is 8192 tokens."}}, "context_length"),
        (400, {"error": {"type": "exceed_context_size_error", "message": "n_ctx"}}, "context_length"),
        (413, {"error": {"message": "request entity too large"}}, "request_too_large"),
        (422, {"detail": [{"msg": "field required", "loc": ["body"]}]}, "invalid_request"),
        (403, {"error": {"message": "not in your country"}}, "auth"),
        (404, {"error": {"code": "DeploymentNotFound", "message": "no"}}, "not_found"),
        (409, {}, "server"),
        (418, {}, "invalid_request"),
        (424, {"error": "backend", "error_type": "backend"}, "server"),
        (500, {"error": "busy", "error_type": "overloaded"}, "capacity"),
        (501, {}, "server"),
        (504, {}, "timeout"),
        (529, {"error": {"type": "overloaded_error", "message": "Overloaded"}}, "capacity"),
        (302, {}, "server"),
    ],
)
def test_error_type_follows_status_then_code_then_message(status: int, body: object, expected: ErrorType) -> None:
    error = parse_error(status, {}, json.dumps(body).encode())

    assert error.error_type == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"error":{"message":"m"}}', "m"),
        (b'[{"error":{"message":"m"}}]', "m"),
        (b'{"object":"error","message":"m","type":"t","code":1300}', "m"),
        (b'{"error":"m","error_type":"overloaded"}', "m"),
        (b'{"detail":"m"}', "m"),
        (b'{"detail":[{"msg":"m"},{"msg":"n"}]}', "m; n"),
        (b'"m"', "m"),
        (b"<html>", ""),
        (b"", ""),
        (b"\xff\xfe", ""),
        (b"[]", ""),
        (b"null", ""),
        (b'{"error":null}', ""),
    ],
)
def test_error_body_of_every_format_is_read(content: bytes, message: str) -> None:
    assert read_error_details(content).message == message


@given(st.integers(300, 599), st.binary(max_size=200))
def test_any_response_is_classified(status: int, content: bytes) -> None:
    error = parse_error(status, {}, content)

    assert error.message


@given(
    st.recursive(
        st.none() | st.text(max_size=5) | st.integers(),
        lambda inner: st.dictionaries(
            st.sampled_from(["error", "message", "type", "code", "detail", "msg"]), inner | st.lists(inner, max_size=2)
        ),
    )
)
def test_any_json_body_is_classified(body: object) -> None:
    parse_error(400, {}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500"}, 1.5),
        ({"x-ms-retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "12ms"}, 0.012),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1h2m3.5s"}, 3723.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "10"}, 10.0),
        (
            {
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "1s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "2s",
            },
            2.0,
        ),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "6m0s"}, None),
        ({"retry-after-ms": "-1", "retry-after": "3"}, 3.0),
        ({"retry-after": "0"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:10 GMT"}, None),
        ({"retry-after": "Tue, 99 Nov 2023 22:13:10 GMT"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "later"}, None),
        ({}, None),
    ],
)
def test_retry_headers_are_read_by_precision(headers: dict[str, str], seconds: float | None) -> None:
    hint = retry_after_s(headers, NOW)

    assert hint == pytest.approx(seconds)


@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]),
        st.text(max_size=12) | st.floats().map(str) | st.just("0"),
    )
)
def test_retry_delay_is_positive_and_at_most_a_day(headers: dict[str, str]) -> None:
    hint = retry_after_s(headers, NOW)

    assert hint is None or 0 < hint <= MAX_RETRY_AFTER_S
