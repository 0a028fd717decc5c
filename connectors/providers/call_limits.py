"""Size limits of one call: built-in figures by kind and model, and the configuration that overrides them.

Each field takes its first value: the configuration's patterns in their order, then those of the table.

Field by field the first word counts: the configuration's patterns in their order, then the table's.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

CACHED_MODELS = 4096
"""Number of models whose limits are cached: callers choose model names freely."""

OptionalLimit = Annotated[int, Field(ge=1)]


class Limits(BaseModel):
    """Size limits of one call. Null means not limited, or not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: OptionalLimit | None = None
    """Number of inputs of an embeddings call."""
    input_tokens: OptionalLimit | None = None
    """Tokens per input. Only inputs that are token ids are counted here; the provider counts the tokens of a text."""
    input_chars: OptionalLimit | None = None
    """Unicode code points per input."""
    call_tokens: OptionalLimit | None = None
    """Tokens of all inputs together."""
    body_bytes: OptionalLimit | None = None
    """Size of any call's body, as JSON in OpenAI's format."""


UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class BuiltInLimit:
    """A known limit of a provider kind, for the models that match a pattern."""

    kind: str
    models: str
    """Shell pattern of the provider's own model names."""
    limits: Limits
    source: str
    """Document that states the limit."""


BUILT_IN_LIMITS: tuple[BuiltInLimit, ...] = (
    BuiltInLimit(
        "openai",
        "text-embedding-*",
        Limits(input_tokens=8192, call_tokens=300_000),
        "OpenAI API reference, Create embeddings",
    ),
    BuiltInLimit("openai", "*", Limits(inputs=2048), "OpenAI's OpenAPI document, CreateEmbeddingRequest"),
    BuiltInLimit(
        "azure",
        "*",
        Limits(inputs=2048, input_tokens=8192),
        "Azure OpenAI, How to generate embeddings; before 2024 it was 16, and 1 before that",
    ),
    BuiltInLimit("anthropic", "*", Limits(body_bytes=32_000_000), "Claude API overview, Request size limits"),
    BuiltInLimit(
        "bedrock",
        "*titan-embed-*",
        Limits(inputs=1, input_tokens=8192, input_chars=50_000),
        "Amazon Bedrock user guide, Titan Embeddings",
    ),
    BuiltInLimit(
        "bedrock",
        "*cohere.embed-v4*",
        Limits(inputs=96, input_tokens=128_000),
        "Amazon Bedrock user guide, Cohere Embed v4",
    ),
    BuiltInLimit(
        "bedrock",
        "*cohere.embed-*-v3*",
        Limits(inputs=96, input_chars=2048),
        "Amazon Bedrock user guide, Cohere Embed v3",
    ),
    BuiltInLimit("bedrock", "*nova*embed*", Limits(inputs=1, input_tokens=8192), "Amazon Nova user guide, Embeddings"),
    BuiltInLimit("bedrock", "*", Limits(body_bytes=25_000_000), "Amazon Bedrock API reference, InvokeModel"),
    BuiltInLimit("gemini", "gemini-embedding-001", Limits(input_tokens=2048), "Gemini API, Models, Gemini Embedding"),
    BuiltInLimit(
        "gemini",
        "*",
        Limits(inputs=100, body_bytes=20_000_000),
        "Gemini API, its own error for batchEmbedContents; Image understanding",
    ),
    BuiltInLimit(
        "mistral",
        "*",
        Limits(inputs=512, call_tokens=16_384),
        "Mistral API, its own errors 3210 and 'Too many tokens in batch'",
    ),
    BuiltInLimit("cohere", "embed-v4*", Limits(input_tokens=128_000), "Cohere API reference, Embed"),
    BuiltInLimit("cohere", "*", Limits(inputs=96), "Cohere API reference, Embed"),
    BuiltInLimit(
        "huggingface",
        "*",
        Limits(inputs=32, body_bytes=2_000_000),
        "Text Embeddings Inference, CLI arguments: --max-client-batch-size, --payload-limit",
    ),
)
"""Known limits, the narrower pattern first. Limits of a self-hosted server are set by its operator."""


def _for_all_models(value: object) -> object:
    """Apply limits without a pattern to every model."""
    return {"*": value} if isinstance(value, dict) and value.keys() & Limits.model_fields.keys() else value


ConfiguredLimits = Annotated[dict[str, Limits], BeforeValidator(_for_all_models)]
"""Limits by shell pattern of the model's name, or without a pattern for all models. A null lifts a built-in limit."""


class LimitTable:
    """Limits of one provider's models."""

    def __init__(self, kind: str, configured: Mapping[str, Limits]) -> None:
        self._rules = [
            *configured.items(),
            *((default.models, default.limits) for default in BUILT_IN_LIMITS if default.kind == kind),
        ]
        self.find = functools.lru_cache(maxsize=CACHED_MODELS)(self._find)
        """Return the limits of a model, given the provider's own name for it."""

    def _find(self, model: str) -> Limits:
        found: dict[str, int | None] = {}
        for pattern, limits in self._rules:
            if fnmatchcase(model, pattern):
                found = {name: getattr(limits, name) for name in limits.model_fields_set} | found
        return Limits(**found) if found else UNLIMITED
