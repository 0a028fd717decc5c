from __future__ import annotations

from typing import get_args

from connectors.providers.provider import FALLBACK, RETRYABLE, ProviderError
from schemas.events.vocabulary import ErrorType


def test_retryable_errors_are_fallback_errors() -> None:
    assert RETRYABLE < FALLBACK < set(get_args(ErrorType))


def test_provider_error_text_is_its_message() -> None:
    error = ProviderError("server", "it broke", http_status=500)

    assert str(error) == error.message == "it broke"
