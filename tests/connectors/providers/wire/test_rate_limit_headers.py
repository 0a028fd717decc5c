from __future__ import annotations

import pytest

from connectors.providers.resilience import Budget, RateState
from connectors.providers.wire.rate_limit_headers import MINUTE_S, rate_state

NOW_S = 1_795_519_940.0  # 2026-11-24T11:32:20Z


def openai(**changed: str) -> dict[str, str]:
    said = {"limit-requests": "500", "remaining-requests": "499", "reset-requests": "120ms"}
    return {f"x-ratelimit-{name}": value for name, value in (said | changed).items()}


def test_openai_reset_is_a_go_duration() -> None:
    tokens = {"limit-tokens": "30000", "remaining-tokens": "0", "reset-tokens": "1m0.5s"}

    assert rate_state(openai(**tokens)) == RateState(Budget(500, 499, 0.12), Budget(30_000, 0, 60.5))


def test_azure_reset_is_a_number_of_seconds() -> None:
    assert rate_state(openai(**{"reset-requests": "10"})) == RateState(Budget(500, 499, 10.0))


def test_anthropic_reset_is_a_date() -> None:
    said = {"limit": "50", "remaining": "7", "reset": "2026-11-24T11:32:50Z"}
    headers = {
        f"anthropic-ratelimit-{kind}-{name}": value
        for kind in ("requests", "input-tokens")
        for name, value in said.items()
    }

    assert rate_state(headers, NOW_S) == RateState(Budget(50, 7, 30.0), Budget(50, 7, 30.0))


def test_anthropics_total_token_limit_precedes_the_input_limit() -> None:
    headers = {
        "anthropic-ratelimit-tokens-limit": "10",
        "anthropic-ratelimit-tokens-remaining": "1",
        "anthropic-ratelimit-input-tokens-limit": "20",
        "anthropic-ratelimit-input-tokens-remaining": "2",
    }

    assert rate_state(headers, NOW_S) == RateState(None, Budget(10, 1, MINUTE_S))


def test_mistral_limit_without_reset_is_a_minute() -> None:
    headers = {"x-ratelimit-limit-req-minute": "60", "x-ratelimit-remaining-req-minute": "0"}

    assert rate_state(headers) == RateState(Budget(60, 0, MINUTE_S))


@pytest.mark.parametrize(
    "changed",
    [
        {"remaining-requests": "-1"},
        {"limit-requests": "0", "remaining-requests": "0"},
        {"limit-requests": "ten"},
        {"remaining-requests": "501"},
        {"remaining-requests": ""},
    ],
)
def test_implausible_limits_are_ignored(changed: dict[str, str]) -> None:
    assert rate_state(openai(**changed)) is None


@pytest.mark.parametrize("reset", ["", "soon", "-5", "nan", "999999999", "2020-01-01T00:00:00Z"])
def test_implausible_reset_is_a_minute(reset: str) -> None:
    assert rate_state(openai(**{"reset-requests": reset}), NOW_S) == RateState(Budget(500, 499, MINUTE_S))


def test_headers_without_limits_have_no_rate_state() -> None:
    assert rate_state({"content-type": "application/json"}) is None
