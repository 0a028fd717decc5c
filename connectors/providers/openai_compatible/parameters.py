"""What becomes of each parameter at OpenAI, and at servers that have only a part of them.

Source: OpenAI API reference and its OpenAPI document, "Create chat completion", "Create embeddings"; "Using GPT-5.1",
parameter compatibility.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.providers.parameters import PASS, ParameterRules, Rule, drop, refuse
from schemas.events.vocabulary import Operation

PENALTY = Rule("pass", low=-2, high=2)

CHAT_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("max_completion_tokens", "max_tokens", "stop", "seed", "logit_bias", "logprobs"), PASS),
    **dict.fromkeys(("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"), PASS),
    **dict.fromkeys(("response_format", "reasoning_effort", "verbosity", "modalities", "audio", "prediction"), PASS),
    **dict.fromkeys(("metadata", "store", "service_tier", "user", "safety_identifier", "prompt_cache_key"), PASS),
    "web_search_options": PASS,
    "temperature": Rule("pass", low=0, high=2),
    "top_p": Rule("pass", low=0, high=1),
    "frequency_penalty": PENALTY,
    "presence_penalty": PENALTY,
    "n": Rule("pass", low=1, high=128),
    "top_logprobs": Rule("pass", low=0, high=20),
}

RENAMED = {"max_tokens": Rule("rename", "max_completion_tokens", reason="reasoning models count their thoughts, too")}

OWN_SAMPLING = "reasoning models sample in their own way"
NO_SAMPLING: Mapping[str, Rule] = {
    **RENAMED,
    "temperature": drop(OWN_SAMPLING, 1),
    "top_p": drop(OWN_SAMPLING, 1),
    "frequency_penalty": drop(OWN_SAMPLING, 0),
    "presence_penalty": drop(OWN_SAMPLING, 0),
    "logit_bias": refuse(OWN_SAMPLING, {}),
    "logprobs": refuse("reasoning models give no log probabilities", default=False),
    "top_logprobs": refuse("reasoning models give no log probabilities", 0),
}

REASONING = ("o1", "o1-*", "o3", "o3-*", "o4-*", "ft:o*", "gpt-5", "gpt-5-20*", "gpt-5-mini*", "gpt-5-nano*")
"""Later ones, from GPT-5.1 on, do take a temperature when told not to reason: what they refuse is theirs to say."""

MODELS = (*((pattern, NO_SAMPLING) for pattern in REASONING), ("gpt-5*", RENAMED))

EMBEDDINGS_RULES: Mapping[str, Rule] = {
    "dimensions": Rule("pass", low=1),
    "encoding_format": PASS,
    "user": PASS,
}


def openai_tables(provider: str) -> Mapping[Operation, ParameterRules]:
    """OpenAI's tables for an API that is OpenAI's own. What is not in them passes: OpenAI adds faster than we do."""
    one_size = ("text-embedding-ada-*", {"dimensions": refuse("its vectors have one size")})
    return {
        "chat": ParameterRules(provider, CHAT_RULES, unknown=PASS, models=MODELS),
        "embeddings": ParameterRules(provider, EMBEDDINGS_RULES, unknown=PASS, models=(one_size,)),
    }


PLATFORM_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("metadata", "user", "safety_identifier"), drop("the server keeps no such records")),
    **dict.fromkeys(("prompt_cache_key", "prompt_cache_retention"), drop("the server caches in its own way")),
    "store": drop("the server stores nothing", default=False),
    "service_tier": drop("the server has one tier", "auto"),
    "verbosity": drop("its models have no such setting", "medium"),
    "prediction": drop("it is a hint for speed that the server does not know"),
    "modalities": refuse("it answers in text", ["text"]),
    "audio": refuse("it answers in text"),
    "web_search_options": refuse("it does not search the web"),
    "functions": refuse("use tools"),
    "function_call": refuse("use tool_choice"),
}
"""What belongs to OpenAI's platform rather than to a model: the same answer at every server of open models."""
