"""Parameter rules of Mistral, which answers 422 to unknown parameters.

Source: Mistral API reference, "Chat Completion" and "Embeddings", and their OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.providers.openai_compatible.parameters import PENALTY, PLATFORM_RULES
from connectors.providers.parameters import PASS, ParameterRules, Rule, refuse
from schemas.events.vocabulary import Operation

PARAMETERS: Mapping[Operation, ParameterRules] = {
    "chat": ParameterRules(
        "mistral",
        {
            **PLATFORM_RULES,
            **dict.fromkeys(("max_tokens", "stop", "n", "metadata", "prediction", "prompt_cache_key"), PASS),
            **dict.fromkeys(("tools", "parallel_tool_calls", "response_format"), PASS),
            **dict.fromkeys(("random_seed", "safe_prompt", "prompt_mode", "guardrails"), PASS),
            "tool_choice": PASS,
            "temperature": Rule("pass", low=0, high=1.5),
            "top_p": Rule("pass", low=0, high=1),
            "frequency_penalty": PENALTY,
            "presence_penalty": PENALTY,
            "seed": Rule("rename", "random_seed", low=0),
            "max_completion_tokens": Rule("rename", "max_tokens"),
            "reasoning_effort": Rule("transform", reason="none and high only"),
            "logprobs": refuse("it returns no log probabilities", default=False),
            "top_logprobs": refuse("it returns no log probabilities", 0),
            "logit_bias": refuse("it has no such setting", {}),
        },
    ),
    "embeddings": ParameterRules(
        "mistral",
        {
            **dict.fromkeys(("encoding_format", "output_dimension", "output_dtype", "metadata"), PASS),
            "dimensions": Rule("rename", "output_dimension", low=1),
            "user": PLATFORM_RULES["user"],
        },
    ),
}

EFFORTS = frozenset({"none", "high"})
