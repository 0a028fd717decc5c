from __future__ import annotations

from typing import get_args

from connectors.providers.provider import FALLBACK, RETRYABLE, ProviderError
from schemas.events.vocabulary import ErrorType


def test_what_is_worth_a_retry_is_worth_another_target() -> None:
    assert RETRYABLE < FALLBACK < set(get_args(ErrorType))


def test_an_error_says_in_its_text_what_it_says_in_its_message() -> None:
    error = ProviderError("server", "it broke", http_status=500)

    assert str(error) == error.message == "it broke"
