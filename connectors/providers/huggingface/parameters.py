"""Parameter rules of Hugging Face's router and of its two servers.

Source: Inference Providers, "Chat Completion" and "Feature Extraction"; Text Generation Inference and Text Embeddings
Inference, their OpenAPI documents.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.providers.openai_compatible.parameters import CHAT_RULES, PLATFORM_RULES
from connectors.providers.parameters import PASS, TRANSFORM, ParameterRules, Rule, drop, refuse
from schemas.events.vocabulary import Operation

SHARED_CHAT_RULES: Mapping[str, Rule] = {
    **PLATFORM_RULES,
    **{name: CHAT_RULES[name] for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty")},
    **dict.fromkeys(("max_tokens", "seed", "tools", "tool_choice", "tool_prompt", "response_format", "logprobs"), PASS),
    "stop": TRANSFORM,
    "top_logprobs": Rule("pass", low=0, high=5),
    "max_completion_tokens": Rule("rename", "max_tokens"),
}

PIPELINE_ONLY = ("normalize", "prompt_name", "truncate", "truncation_direction")

ROUTER: Mapping[Operation, ParameterRules] = {
    "chat": ParameterRules("huggingface", SHARED_CHAT_RULES, unknown=PASS),
    "embeddings": ParameterRules(
        "huggingface",
        {
            **dict.fromkeys(PIPELINE_ONLY, PASS),
            "encoding_format": Rule("transform", reason="the gateway encodes the vectors as base64"),
            "dimensions": refuse("its vectors have the model's size"),
            "user": PLATFORM_RULES["user"],
            "metadata": PLATFORM_RULES["metadata"],
        },
    ),
}

TGI: Mapping[Operation, ParameterRules] = {
    "chat": ParameterRules(
        "huggingface",
        {
            **SHARED_CHAT_RULES,
            "guideline": PASS,
            "n": refuse("it returns one answer", 1),
            "logit_bias": refuse("it has no such setting", {}),
            "parallel_tool_calls": drop("the model decides how many tools it calls", default=True),
            "reasoning_effort": drop("its models have no such setting"),
        },
    ),
}

TEI: Mapping[Operation, ParameterRules] = {
    "embeddings": ParameterRules(
        "huggingface",
        {
            "encoding_format": PASS,
            "dimensions": Rule("pass", low=1),
            "user": PLATFORM_RULES["user"],
            "metadata": PLATFORM_RULES["metadata"],
        },
    ),
}

PARAMETERS = ROUTER
