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
def test_our_arithmetic_is_that_of_genai_prices(model: str, usage: Usage) -> None:
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


def test_cached_tokens_are_cheaper_and_reasoning_is_paid_as_output_once() -> None:
    assert (
        prices().price("openai", "gpt-4o", USAGE) == (600 * Decimal("2.5") + 400 * Decimal("1.25") + 100 * 10) / 10**6
    )


def test_whose_prices_are_meant_follows_from_where_the_server_is() -> None:
    assert prices().price("groq", "llama-3.3-70b-versatile", USAGE) is not None


def test_a_kind_without_an_address_of_its_own_is_priced_by_its_name() -> None:
    usage = Usage(input_tokens=1000, output_tokens=100, cache_read_input_tokens=100, cache_creation_input_tokens=50)

    price = prices().price("aws", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", usage)

    in_europe = Decimal("1.1")
    assert price == in_europe * (850 * 3 + 100 * Decimal("0.3") + 50 * Decimal("3.75") + 100 * 15) / 10**6


@pytest.mark.parametrize(
    ("provider", "model"),
    [("own", "gpt-4o"), ("sim", "gpt-4o"), ("openai", "no-such-model"), ("nobody", "gpt-4o"), ("openai", "whisper-1")],
)
def test_an_unknown_price_is_none_and_never_zero(provider: str, model: str) -> None:
    assert prices().price(provider, model, USAGE) is None


def test_without_usage_the_cost_is_not_known() -> None:
    assert prices().price("openai", "gpt-4o", Usage()) is None


def test_the_configurations_own_price_wins() -> None:
    own = prices(prices={"openai/gpt-4o": {"input_mtok": 1.1, "output_mtok": 2, "cache_read_mtok": 0.5}})

    assert own.price("openai", "gpt-4o", USAGE) == (600 * Decimal("1.1") + 400 * Decimal("0.5") + 200) / 10**6


def test_an_own_price_without_one_for_cached_tokens_counts_them_in_full() -> None:
    own = prices(prices={"own/llama": {"input_mtok": 1}})

    assert own.price("own", "llama", USAGE) == Decimal("0.001")


def test_a_model_that_is_really_free_costs_zero() -> None:
    assert prices(prices={"own/llama": {"input_mtok": 0}}).price("own", "llama", USAGE) == 0


def test_prices_never_go_to_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)

    assert prices().price("openai", "gpt-4o-mini", USAGE) is not None


@pytest.mark.parametrize(
    ("model", "answered_by"), [("chat-prod", ""), ("any-name", "gpt-4o-2024-08-06"), ("gpt-4o", "")]
)
def test_a_deployment_has_the_price_of_the_model_behind_it(model: str, answered_by: str) -> None:
    known = prices()

    assert known.price("azure", model, USAGE, answered_by) == known.price("openai", "gpt-4o", USAGE)


def test_a_deployment_whose_model_nobody_says_is_unpriced() -> None:
    assert prices().price("azure", "any-name", USAGE) is None


def test_a_companys_prices_hold_behind_a_proxy() -> None:
    assert prices().price("claude", "claude-sonnet-4-5", USAGE) is not None


def test_each_provider_behind_the_router_has_its_price_and_the_routers_own_choice_has_none() -> None:
    known, model = prices(), "meta-llama/Llama-3.3-70B-Instruct"

    assert known.price("hub", f"{model}:together", USAGE) is not None
    assert known.price("hub", model, USAGE) is None
    assert known.price("hub", f"{model}:fastest", USAGE) is None
