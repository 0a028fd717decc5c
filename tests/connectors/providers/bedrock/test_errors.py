from __future__ import annotations

import json

import pytest

from connectors.providers.bedrock.errors import read_error, read_exception
from schemas.events.vocabulary import ErrorType


def body(message: str) -> bytes:
    return json.dumps({"message": message}).encode()


def test_throttling_text_about_tokens_is_rate_limited() -> None:
    error = read_error(429, {"x-amzn-errortype": "ThrottlingException"}, body("Too many tokens, please wait."))

    assert error.error_type == "rate_limited"


@pytest.mark.parametrize("name", ["ThrottlingException", "throttlingException", "a.b#ThrottlingException:http://x"])
def test_exception_name_is_read_in_every_spelling(name: str) -> None:
    assert read_error(400, {"x-amzn-errortype": name}, b"").error_type == "rate_limited"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("The provided model identifier is invalid.", "not_found"),
        ("Invocation of model ID x with on-demand throughput isn't supported.", "not_found"),
        ("Input is too long for requested model.", "context_length"),
        ("prompt is too long: 200001 tokens > 200000 maximum", "context_length"),
        ("Output blocked by content filtering policy", "content_filter"),
        ("The text field in the ContentBlock object is blank.", "invalid_request"),
    ],
)
def test_validation_error_is_refined_by_its_text(message: str, expected: ErrorType) -> None:
    error = read_error(400, {"x-amzn-errortype": "ValidationException"}, body(message))

    assert error.error_type == expected
    assert str(error) == error.message == message


@pytest.mark.parametrize(
    ("status", "content", "expected"),
    [
        (403, b'{"Message": "Authentication failed"}', "auth"),
        (404, b"<html>", "not_found"),
        (502, b"", "server"),
        (400, b"[1]", "invalid_request"),
        (400, b'{"__type": 5, "message": {}}', "invalid_request"),
    ],
)
def test_error_without_exception_name_follows_status(status: int, content: bytes, expected: ErrorType) -> None:
    error = read_error(status, {}, content)

    assert error.error_type == expected
    assert error.http_status == status
    assert error.message


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("internalServerException", "server"),
        ("modelStreamErrorException", "server"),
        ("validationException", "invalid_request"),
        ("throttlingException", "rate_limited"),
        ("serviceUnavailableException", "capacity"),
        ("modelTimeoutException", "timeout"),
        ("", "server"),
    ],
)
def test_stream_exception_is_classified(name: str, expected: ErrorType) -> None:
    error = read_exception(name, b"not json")

    assert error.error_type == expected
    assert error.http_status == 200
    assert error.message
