"""Parameter rules of OpenAI, and of servers that support a part of its parameters.

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

RENAMED = {"max_tokens": Rule("rename", "max_completion_tokens", reason="reasoning models count reasoning tokens, too")}

OWN_SAMPLING = "reasoning models have fixed sampling settings"
NO_SAMPLING: Mapping[str, Rule] = {
    **RENAMED,
    "temperature": drop(OWN_SAMPLING, 1),
    "top_p": drop(OWN_SAMPLING, 1),
    "frequency_penalty": drop(OWN_SAMPLING, 0),
    "presence_penalty": drop(OWN_SAMPLING, 0),
    "logit_bias": refuse(OWN_SAMPLING, {}),
    "logprobs": refuse("reasoning models return no log probabilities", default=False),
    "top_logprobs": refuse("reasoning models return no log probabilities", 0),
}

REASONING = ("o1", "o1-*", "o3", "o3-*", "o4-*", "ft:o*", "gpt-5", "gpt-5-20*", "gpt-5-mini*", "gpt-5-nano*")
"""Models that refuse sampling parameters. GPT-5.1 and later accept a temperature without reasoning, and refuse it
themselves otherwise.
"""

MODELS = (*((pattern, NO_SAMPLING) for pattern in REASONING), ("gpt-5*", RENAMED))

EMBEDDINGS_RULES: Mapping[str, Rule] = {
    "dimensions": Rule("pass", low=1),
    "encoding_format": PASS,
    "user": PASS,
}


def openai_tables(provider: str) -> Mapping[Operation, ParameterRules]:
    """Return OpenAI's rules for an API of OpenAI's own.

    Unknown parameters are passed on, because OpenAI adds parameters faster than this table.
    """
    one_size = ("text-embedding-ada-*", {"dimensions": refuse("its vectors have a fixed size")})
    return {
        "chat": ParameterRules(provider, CHAT_RULES, unknown=PASS, models=MODELS),
        "embeddings": ParameterRules(provider, EMBEDDINGS_RULES, unknown=PASS, models=(one_size,)),
    }


PLATFORM_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("metadata", "user", "safety_identifier"), drop("the server does not store them")),
    **dict.fromkeys(("prompt_cache_key", "prompt_cache_retention"), drop("the server manages its own cache")),
    "store": drop("the server stores nothing", default=False),
    "service_tier": drop("the server has one tier", "auto"),
    "verbosity": drop("its models have no such setting", "medium"),
    "prediction": drop("the server does not know this speed hint"),
    "modalities": refuse("it returns only text", ["text"]),
    "audio": refuse("it returns only text"),
    "web_search_options": refuse("it does not search the web"),
    "functions": refuse("use tools"),
    "function_call": refuse("use tool_choice"),
}
"""Rules for parameters of OpenAI's platform rather than of a model: the same at every server of open models."""
