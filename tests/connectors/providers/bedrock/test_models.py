from __future__ import annotations

from typing import Any

import pytest

from connectors.providers.bedrock.models import can_name_tool, reasoning_fields, structured_by, top_k_fields
from connectors.providers.provider import ProviderError

SONNET_4_5 = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS_4_6 = "us.anthropic.claude-opus-4-6-v1"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
GPT_OSS = "openai.gpt-oss-120b-1:0"
LLAMA = "us.meta.llama3-3-70b-instruct-v1:0"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (SONNET_4_5, "format"),
        ("anthropic.claude-sonnet-4-20250514-v1:0", "tool"),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "tool"),
        (NOVA_2, "tool"),
        (LLAMA, ""),
        (GPT_OSS, "format"),
    ],
)
def test_structured_by_follows_from_the_model(model: str, expected: str) -> None:
    assert structured_by(model) == expected


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        (SONNET_4_5, "medium", ({"thinking": {"type": "enabled", "budget_tokens": 8192}}, {})),
        (SONNET_4_5, "none", ({}, {})),
        (OPUS_4_6, "high", ({"thinking": {"type": "adaptive"}}, {"effort": "high"})),
        (OPUS_4_6, "minimal", ({"thinking": {"type": "adaptive"}}, {"effort": "low"})),
        (NOVA_2, "low", ({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}, {})),
        (NOVA_2, "none", ({"reasoningConfig": {"type": "disabled"}}, {})),
        (GPT_OSS, "low", ({"reasoning_effort": "low"}, {})),
        (LLAMA, "high", None),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "high", None),
    ],
)
def test_effort_is_translated_for_each_family(model: str, effort: str, expected: Any) -> None:
    assert reasoning_fields(model, effort, None) == expected


@pytest.mark.parametrize(
    ("model", "effort", "max_tokens"),
    [
        (SONNET_4_5, "low", 2048),
        (SONNET_4_5, "utmost", None),
        (OPUS_4_6, "utmost", None),
        (NOVA_2, "xhigh", None),
        (GPT_OSS, "none", None),
    ],
)
def test_unsupported_effort_is_refused_by_name(model: str, effort: str, max_tokens: int | None) -> None:
    with pytest.raises(ProviderError) as caught:
        reasoning_fields(model, effort, max_tokens)

    assert (caught.value.error_type, caught.value.param) == ("invalid_request", "reasoning_effort")


def test_top_k_is_translated_for_each_family() -> None:
    assert top_k_fields(SONNET_4_5, 5) == {"top_k": 5}
    assert top_k_fields(NOVA_2, 5) == {"inferenceConfig": {"topK": 5}}
    with pytest.raises(ProviderError) as caught:
        top_k_fields(LLAMA, 5)
    assert caught.value.param == "top_k"


def test_can_name_tool_follows_from_the_model() -> None:
    assert can_name_tool(SONNET_4_5)
    assert can_name_tool(NOVA_2)
    assert not can_name_tool(LLAMA)
