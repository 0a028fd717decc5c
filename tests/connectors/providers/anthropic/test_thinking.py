from __future__ import annotations

import pytest

from connectors.providers.anthropic.models import traits_of
from connectors.providers.anthropic.thinking import write_thinking
from connectors.providers.provider import ProviderError
from schemas.json_types import JsonObject


def translate(model: str, effort: str, max_tokens: int = 10_000) -> JsonObject:
    wire: JsonObject = {"model": model, "max_tokens": max_tokens, "messages": []}
    write_thinking(wire, {"reasoning_effort": effort}, traits_of(model), [])
    return {name: wire[name] for name in ("thinking", "output_config") if name in wire}


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("claude-sonnet-4-5", "none", {}),
        ("claude-sonnet-4-5", "minimal", {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        ("claude-sonnet-4-5", "high", {"thinking": {"type": "enabled", "budget_tokens": 8000}}),
        ("claude-opus-4-6", "max", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}),
        (
            "claude-opus-4-7",
            "minimal",
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
        ),
        ("claude-opus-4-7", "none", {}),
        ("claude-opus-5", "none", {"thinking": {"type": "disabled"}}),
        ("claude-sonnet-5-5", "none", {"thinking": {"type": "between_tools"}}),
        ("claude-3-5-haiku-20241022", "none", {}),
    ],
)
def test_effort_is_translated_for_each_generation(model: str, effort: str, expected: JsonObject) -> None:
    assert translate(model, effort) == expected


@pytest.mark.parametrize(
    ("model", "effort", "max_tokens"),
    [
        ("claude-opus-4-6", "xhigh", 10_000),
        ("claude-opus-5-5", "none", 10_000),
        ("claude-3-5-haiku-20241022", "low", 10_000),
        ("claude-sonnet-4-5", "low", 1024),
    ],
)
def test_unsupported_effort_is_refused(model: str, effort: str, max_tokens: int) -> None:
    with pytest.raises(ProviderError) as caught:
        translate(model, effort, max_tokens)

    assert caught.value.param == "reasoning_effort"


@pytest.mark.parametrize("max_tokens", [1025, 1026, 2000, 10**9])
def test_budget_is_below_max_tokens(max_tokens: int) -> None:
    budget = translate("claude-sonnet-4-5", "max", max_tokens)["thinking"]["budget_tokens"]

    assert 1024 <= budget < max_tokens
