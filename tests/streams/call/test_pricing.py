from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage as PricedUsage
from genai_prices import calc_price

from schemas.events.parts import Usage
from streams.call.pricing import PriceBook
from streams.config.settings import Settings

USAGE = Usage(input_tokens=1000, output_tokens=100, cache_read_input_tokens=400, reasoning_output_tokens=50)


def prices(**more: Any) -> PriceBook:
    providers = {
        "openai": {"kind": "openai", "api_key": "k"},
        "groq": {"kind": "openai", "base_url": "https://api.groq.com/openai/v1", "api_key": "k"},
        "own": {"kind": "openai", "base_url": "http://127.0.0.1:8000/v1"},
        "sim": {"kind": "simulated"},
        "azure": {"kind": "azure", "resource": "r", "api_key": "k", "deployments": {"chat-prod": "gpt-4o"}},
        "claude": {"kind": "anthropic", "base_url": "https://proxy.example", "api_key": "k"},
        "hub": {"kind": "huggingface", "api_key": "k"},
        "aws": {"kind": "bedrock", "region": "eu-central-1", "api_key": "k"},
    }
    settings = Settings.model_validate({"providers": providers, **more})
    return PriceBook(settings.prices, settings.providers)


@pytest.mark.parametrize(
    "model", ["gpt-4o", "gpt-4o-2024-08-06", "gpt-4.1-mini", "o3", "text-embedding-3-small", "gpt-5"]
)
@pytest.mark.parametrize("usage", [USAGE, Usage(input_tokens=7), Usage(input_tokens=300_000, output_tokens=9)])
def test_price_equals_that_of_genai_prices(model: str, usage: Usage) -> None:
    expected = calc_price(
        PricedUsage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_input_tokens,
        ),
        model,
        provider_id="openai",
    )

    assert prices().price("openai", model, usage) == expected.total_price


def test_cached_tokens_cost_less_and_reasoning_tokens_are_output_tokens() -> None:
    assert (
        prices().price("openai", "gpt-4o", USAGE) == (600 * Decimal("2.5") + 400 * Decimal("1.25") + 100 * 10) / 10**6
    )


def test_prices_of_an_openai_kind_follow_from_its_base_url() -> None:
    assert prices().price("groq", "llama-3.3-70b-versatile", USAGE) is not None


def test_prices_of_bedrock_follow_from_its_kind() -> None:
    usage = Usage(input_tokens=1000, output_tokens=100, cache_read_input_tokens=100, cache_creation_input_tokens=50)

    price = prices().price("aws", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", usage)

    in_europe = Decimal("1.1")
    assert price == in_europe * (850 * 3 + 100 * Decimal("0.3") + 50 * Decimal("3.75") + 100 * 15) / 10**6


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("own", "gpt-4o"),
        ("sim", "gpt-4o"),
        ("openai", "no-such-model"),
        ("absent", "gpt-4o"),
        ("openai", "whisper-1"),
    ],
)
def test_unknown_price_is_none(provider: str, model: str) -> None:
    assert prices().price(provider, model, USAGE) is None


def test_price_without_usage_is_none() -> None:
    assert prices().price("openai", "gpt-4o", Usage()) is None


def test_configured_price_overrides_the_published_one() -> None:
    own = prices(prices={"openai/gpt-4o": {"input_mtok": 1.1, "output_mtok": 2, "cache_read_mtok": 0.5}})

    assert own.price("openai", "gpt-4o", USAGE) == (600 * Decimal("1.1") + 400 * Decimal("0.5") + 200) / 10**6


def test_configured_price_without_a_cache_rate_bills_cached_tokens_in_full() -> None:
    own = prices(prices={"own/llama": {"input_mtok": 1}})

    assert own.price("own", "llama", USAGE) == Decimal("0.001")


def test_price_of_a_free_model_is_zero() -> None:
    assert prices(prices={"own/llama": {"input_mtok": 0}}).price("own", "llama", USAGE) == 0


def test_price_lookup_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)

    assert prices().price("openai", "gpt-4o-mini", USAGE) is not None


@pytest.mark.parametrize(
    ("model", "answered_by"), [("chat-prod", ""), ("any-name", "gpt-4o-2024-08-06"), ("gpt-4o", "")]
)
def test_azure_deployment_has_the_price_of_its_model(model: str, answered_by: str) -> None:
    known = prices()

    assert known.price("azure", model, USAGE, answered_by) == known.price("openai", "gpt-4o", USAGE)


def test_azure_deployment_of_an_unknown_model_is_unpriced() -> None:
    assert prices().price("azure", "any-name", USAGE) is None


def test_anthropic_behind_a_proxy_has_anthropic_prices() -> None:
    assert prices().price("claude", "claude-sonnet-4-5", USAGE) is not None


def test_hugging_face_model_is_priced_only_with_a_named_provider() -> None:
    known, model = prices(), "meta-llama/Llama-3.3-70B-Instruct"

    assert known.price("hub", f"{model}:together", USAGE) is not None
    assert known.price("hub", model, USAGE) is None
    assert known.price("hub", f"{model}:fastest", USAGE) is None
