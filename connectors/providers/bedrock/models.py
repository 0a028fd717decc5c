"""Capabilities of Bedrock's models, by shell pattern of the model's id.

An id may follow a region (``eu.anthropic.…``) or be part of an ARN, so every pattern begins with a star; the first
match applies. Capabilities of Claude models do not depend on the host: they are in ``anthropic.models``.
Sources: Amazon Bedrock User Guide, "Get validated JSON results from models", and API Reference, "OutputConfig",
"ToolChoice", "CachePointBlock"; Amazon Nova 2 User Guide, "Extended thinking"; OpenAI's model card of gpt-oss.
"""

from __future__ import annotations

import fnmatch
from typing import Literal

from connectors.providers.anthropic.models import ModelTraits, traits_of
from connectors.providers.parameters import invalid_parameter
from schemas.json_types import JsonObject

StructuredBy = Literal["format", "tool", ""]

STRUCTURED_BY: tuple[tuple[str, StructuredBy], ...] = (
    ("*claude-3*", "tool"),
    ("*claude-sonnet-4-2*", "tool"),
    ("*claude-opus-4-2*", "tool"),
    ("*claude-opus-4-1*", "tool"),
    ("*amazon.nova*", "tool"),
    ("*amazon.titan*", ""),
    ("*ai21.*", ""),
    ("*cohere.command*", ""),
    ("*meta.llama*", ""),
    ("*deepseek.r1*", ""),
    ("*", "format"),
)
"""Method by which an answer follows a schema: by Bedrock itself, by a tool that the model must call, or not at all."""

BUDGET_TOKENS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 30000}
"""Thinking budget in tokens of each effort, for Claude models that need a number. 1,024 is the minimum; 32,000 is the
largest output of the smallest of these models; the steps between are ours.
"""

EFFORTS = {"*amazon.nova-2*": ("none", "low", "medium", "high"), "*openai.gpt-oss*": ("low", "medium", "high")}
"""OpenAI's efforts that other models support."""

TOP_K = {"*anthropic.claude*": "top_k", "*mistral.*": "top_k", "*cohere.command*": "k"}
"""Name of top_k among the model's own fields. Nova has it one level deeper."""


def structured_by(model: str) -> StructuredBy:
    """Return how this model's answer follows a schema."""
    return next(method for pattern, method in STRUCTURED_BY if fnmatch.fnmatchcase(model, pattern))


def claude_traits(model: str) -> ModelTraits | None:
    """Return the capabilities of one of Anthropic's models; None for other models."""
    return traits_of(model) if "claude" in model else None


def cache_point(model: str, cache_control: object) -> JsonObject:
    """Translate Anthropic's cache_control into a cache point; empty if the model does not support it."""
    if not isinstance(cache_control, dict) or (claude_traits(model) is None and "amazon.nova" not in model):
        return {}
    return {"cachePoint": {"type": "default"} | ({"ttl": "1h"} if cache_control.get("ttl") == "1h" else {})}


def can_name_tool(model: str) -> bool:
    """Return True if a tool choice can name one tool for this model."""
    traits = claude_traits(model)
    return traits.can_force_tools if traits is not None else "amazon.nova" in model


def reasoning_fields(model: str, effort: str, max_tokens: int | None) -> tuple[JsonObject, JsonObject] | None:
    """Translate reasoning_effort into the model's own fields and outputConfig; None if the model has no such setting.

    Raises:
        ProviderError: invalid_request, if the model reasons, but not with this effort.

    """
    traits = claude_traits(model)
    if traits is not None:
        return _claude_fields(model, traits, effort, max_tokens)
    pattern = _match(EFFORTS, model)
    if not pattern:
        return None
    if effort not in EFFORTS[pattern]:
        raise _unsupported_effort(model, EFFORTS[pattern])
    if pattern == "*openai.gpt-oss*":
        return {"reasoning_effort": effort}, {}
    thinking = {"type": "disabled"} if effort == "none" else {"type": "enabled", "maxReasoningEffort": effort}
    return {"reasoningConfig": thinking}, {}


def _claude_fields(
    model: str, traits: ModelTraits, effort: str, max_tokens: int | None
) -> tuple[JsonObject, JsonObject] | None:
    if traits.thinking == "none":
        return None
    if effort == "none" and traits.thinking_off != "never":
        return ({} if traits.thinking_off == "omitted" else {"thinking": {"type": traits.thinking_off}}), {}
    level = "low" if effort == "minimal" and traits.thinking == "adaptive" else effort
    if level not in traits.efforts:
        raise _unsupported_effort(
            model, traits.efforts if traits.thinking_off == "never" else ("none", *traits.efforts)
        )
    if traits.thinking == "budget":
        return {"thinking": {"type": "enabled", "budget_tokens": _budget(model, level, max_tokens)}}, {}
    shown = {} if traits.returns_thinking else {"display": "summarized"}
    return {"thinking": {"type": "adaptive", **shown}}, {"effort": level}


def _budget(model: str, effort: str, max_tokens: int | None) -> int:
    tokens = BUDGET_TOKENS[effort]
    if max_tokens is not None and max_tokens <= tokens:
        why = f"reasoning_effort {effort} needs max_completion_tokens above {tokens} at bedrock/{model}"
        raise invalid_parameter("reasoning_effort", why)
    return tokens


def _unsupported_effort(model: str, efforts: tuple[str, ...]) -> Exception:
    return invalid_parameter("reasoning_effort", f"reasoning_effort can be {', '.join(efforts)} at bedrock/{model}")


def top_k_fields(model: str, value: object) -> JsonObject:
    """Write top_k into the model's own fields.

    Raises:
        ProviderError: invalid_request, if the model has none.

    """
    if "amazon.nova" in model:
        return {"inferenceConfig": {"topK": value}}
    pattern = _match(TOP_K, model)
    if not pattern:
        raise invalid_parameter("top_k", f"top_k is not supported by bedrock/{model}")
    return {TOP_K[pattern]: value}


def _match(patterns: dict[str, str] | dict[str, tuple[str, ...]], model: str) -> str:
    return next((pattern for pattern in patterns if fnmatch.fnmatchcase(model, pattern)), "")
