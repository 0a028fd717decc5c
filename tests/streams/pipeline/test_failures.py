from __future__ import annotations

from typing import get_args

import pytest

from schemas.events.vocabulary import ErrorType
from streams.pipeline.failures import ERROR_MAPPINGS, QUOTED_ERRORS, to_failure


def test_every_error_type_has_a_mapping() -> None:
    assert set(ERROR_MAPPINGS) == set(get_args(ErrorType))


@pytest.mark.parametrize(
    ("error_type", "status", "code"),
    [
        ("rate_limited", 429, "rate_limit_exceeded"),
        ("capacity", 503, "capacity"),
        ("quota_exhausted", 429, "insufficient_quota"),
        ("context_length", 400, "context_length_exceeded"),
        ("request_too_large", 413, "request_too_large"),
        ("content_filter", 400, "content_filter"),
        ("invalid_request", 400, "invalid_request"),
        ("auth", 502, "auth"),
        ("not_found", 404, "model_not_found"),
        ("timeout", 504, "timeout"),
        ("server", 502, "server"),
        ("network", 502, "network"),
    ],
)
def test_failure_has_the_status_and_code_that_openai_clients_expect(
    error_type: ErrorType, status: int, code: str
) -> None:
    failure = to_failure(error_type, "", None)

    assert (failure.status, failure.code) == (status, code)


@pytest.mark.parametrize("error_type", sorted(ERROR_MAPPINGS.keys() - {"network"}))
def test_provider_message_is_quoted_only_about_the_callers_request(error_type: ErrorType) -> None:
    failure = to_failure(error_type, "org-123 said so", None)

    assert ("org-123" in failure.message) == (error_type in QUOTED_ERRORS)


def test_network_failure_names_the_provider_and_the_reason() -> None:
    message = "the connection to openai failed (connection refused)"

    assert to_failure("network", message, None).message == message
    assert to_failure("network", "", None).message == "the connection to the provider failed"


def test_retry_after_is_rounded_up() -> None:
    assert to_failure("rate_limited", "", 0.0101).retry_after_ms == 11
