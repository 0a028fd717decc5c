from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from connectors.providers.call_limits import BUILT_IN_LIMITS, UNLIMITED, ConfiguredLimits, Limits, LimitTable

CONFIGURED = TypeAdapter(ConfiguredLimits)


def limits(kind: str, model: str, configured: Any = None) -> Limits:
    return LimitTable(kind, CONFIGURED.validate_python(configured or {})).find(model)


@pytest.mark.parametrize(
    ("kind", "model", "expected"),
    [
        ("openai", "text-embedding-3-small", Limits(inputs=2048, input_tokens=8192, call_tokens=300_000)),
        ("openai", "gpt-4o", Limits(inputs=2048)),
        ("azure", "any-deployment", Limits(inputs=2048, input_tokens=8192)),
        ("anthropic", "claude-sonnet-4-5", Limits(body_bytes=32_000_000)),
        (
            "bedrock",
            "amazon.titan-embed-text-v2:0",
            Limits(inputs=1, input_tokens=8192, input_chars=50_000, body_bytes=25_000_000),
        ),
        ("bedrock", "us.cohere.embed-v4:0", Limits(inputs=96, input_tokens=128_000, body_bytes=25_000_000)),
        ("bedrock", "cohere.embed-english-v3", Limits(inputs=96, input_chars=2048, body_bytes=25_000_000)),
        (
            "bedrock",
            "amazon.nova-2-multimodal-embeddings-v1:0",
            Limits(inputs=1, input_tokens=8192, body_bytes=25_000_000),
        ),
        ("gemini", "gemini-embedding-001", Limits(inputs=100, input_tokens=2048, body_bytes=20_000_000)),
        ("mistral", "mistral-embed", Limits(inputs=512, call_tokens=16_384)),
        ("cohere", "embed-english-v3.0", Limits(inputs=96)),
        ("cohere", "embed-v4.0", Limits(inputs=96, input_tokens=128_000)),
        ("huggingface", "BAAI/bge-m3", Limits(inputs=32, body_bytes=2_000_000)),
        ("simulated", "echo", UNLIMITED),
    ],
)
def test_built_in_limits_apply_without_configuration(kind: str, model: str, expected: Limits) -> None:
    assert limits(kind, model) == expected


def test_narrow_pattern_precedes_a_wide_one_with_the_same_field() -> None:
    for index, default in enumerate(BUILT_IN_LIMITS):
        for earlier in BUILT_IN_LIMITS[:index]:
            if earlier.kind == default.kind and earlier.models == "*":
                assert not earlier.limits.model_fields_set & default.limits.model_fields_set, default


def test_every_limit_has_a_source() -> None:
    assert all(default.source and default.limits.model_fields_set for default in BUILT_IN_LIMITS)


def test_configured_limit_overrides_each_field() -> None:
    found = limits("azure", "ada", {"inputs": 16})

    assert (found.inputs, found.input_tokens) == (16, 8192)


def test_first_matching_pattern_applies() -> None:
    configured = {"ada-*": {"inputs": 1}, "*": {"inputs": 16, "call_tokens": 1000}}

    assert limits("azure", "ada-002", configured).inputs == 1
    assert limits("azure", "ada-002", configured).call_tokens == 1000
    assert limits("azure", "other", configured).inputs == 16


def test_null_lifts_a_limit() -> None:
    assert limits("huggingface", "bge", {"body_bytes": None}) == Limits(inputs=32, body_bytes=None)


@pytest.mark.parametrize("wrong", [{"inputs": 0}, {"*": {"inputs": -1}}, {"*": {"imputs": 1}}, {"*": 5}, [1]])
def test_invalid_limits_are_errors(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        CONFIGURED.validate_python(wrong)


def test_page_contains_the_table() -> None:
    page = (Path(__file__).parents[3] / "docs" / "limits.md").read_text("utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| `")
    ]

    names = list(Limits.model_fields)
    assert [row[0] for row in rows[: len(names)]] == [f"`{name}`" for name in names]
    assert rows[len(names) :] == [
        [
            f"`{default.kind}`",
            f"`{default.models}`",
            *("" if (most := getattr(default.limits, name)) is None else f"{most:,}" for name in names),
            default.source,
        ]
        for default in BUILT_IN_LIMITS
    ]
