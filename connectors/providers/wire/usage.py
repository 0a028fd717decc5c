"""Token counts: lenient reading of a provider's figures, and OpenAI's usage object."""

from __future__ import annotations

import math
from typing import Literal

from connectors.providers.wire.json_access import as_object
from schemas.events.parts import Usage
from schemas.json_types import JsonObject

Detail = Literal["cached_tokens", "cache_creation_tokens", "reasoning_tokens"]


def token_count(counts: object, name: str) -> int:
    """Return a number of tokens; zero if it is missing, not positive or not a number. Cohere sends it as a float."""
    value = as_object(counts).get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0
    return max(int(value), 0)


def openai_usage(usage: Usage, *details: Detail) -> JsonObject:
    """Write a chat's usage as OpenAI does, with those details that the provider counts."""
    prompt = {
        "cached_tokens": usage.cache_read_input_tokens,
        "cache_creation_tokens": usage.cache_creation_input_tokens,
    }
    completion = {"reasoning_tokens": usage.reasoning_output_tokens}
    written: JsonObject = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    for name, counts in (("prompt_tokens_details", prompt), ("completion_tokens_details", completion)):
        if counted := {detail: count for detail, count in counts.items() if detail in details}:
            written[name] = counted
    return written
