from __future__ import annotations

import pytest

from connectors.providers.bedrock.reasoning import from_converse, to_converse
from schemas.json_types import JsonObject

CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
OTHER = "openai.gpt-oss-120b-1:0"
BLOCKS: list[JsonObject] = [
    {"reasoningText": {"text": "Hm.", "signature": "c2ln"}},
    {"redactedContent": "cmVk"},
]


@pytest.mark.parametrize("model", [CLAUDE, OTHER])
def test_reasoning_round_trips(model: str) -> None:
    assert to_converse(model, {"extra_content": from_converse(model, BLOCKS)}) == BLOCKS


def test_claude_reasoning_has_anthropics_format() -> None:
    thoughts = [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "cmVk"},
    ]

    assert from_converse(CLAUDE, BLOCKS) == {"anthropic": {"thinking_blocks": thoughts}}


def test_reasoning_of_another_family_is_ignored() -> None:
    assert to_converse(OTHER, {"extra_content": from_converse(CLAUDE, BLOCKS)}) == []
    assert to_converse(CLAUDE, {"extra_content": from_converse(OTHER, BLOCKS)}) == []


def test_unsigned_reasoning_is_ignored() -> None:
    assert to_converse(CLAUDE, {"extra_content": from_converse(CLAUDE, [{"reasoningText": {"text": "Hm."}}])}) == []


@pytest.mark.parametrize(
    "extra", [None, 5, {"bedrock": 5}, {"bedrock": {"reasoning": "x"}}, {"bedrock": {"reasoning": [5]}}]
)
def test_invalid_reasoning_is_ignored(extra: object) -> None:
    assert to_converse(OTHER, {"extra_content": extra}) == []
