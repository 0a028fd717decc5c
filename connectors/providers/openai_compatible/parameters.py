"""What becomes of each parameter at OpenAI, and at servers that have only a part of them.

Source: OpenAI API reference and its OpenAPI document, "Create chat completion", "Create embeddings"; "Using GPT-5.1",
parameter compatibility.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.providers.parameters import PASS, ParameterRules, Rule, dropped, refused
from schemas.events.vocabulary import Operation

PENALTY = Rule("pass", low=-2, high=2)

CHAT: Mapping[str, Rule] = {
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

RENAMED = {"max_tokens": Rule("rename", "max_completion_tokens", why="reasoning models count their thoughts, too")}

OWN_SAMPLING = "reasoning models sample in their own way"
NO_SAMPLING: Mapping[str, Rule] = {
    **RENAMED,
    "temperature": dropped(OWN_SAMPLING, 1),
    "top_p": dropped(OWN_SAMPLING, 1),
    "frequency_penalty": dropped(OWN_SAMPLING, 0),
    "presence_penalty": dropped(OWN_SAMPLING, 0),
    "logit_bias": refused(OWN_SAMPLING, {}),
    "logprobs": refused("reasoning models give no log probabilities", default=False),
    "top_logprobs": refused("reasoning models give no log probabilities", 0),
}

REASONING = ("o1", "o1-*", "o3", "o3-*", "o4-*", "ft:o*", "gpt-5", "gpt-5-20*", "gpt-5-mini*", "gpt-5-nano*")
"""Later ones, from GPT-5.1 on, do take a temperature when told not to reason: what they refuse is theirs to say."""

MODELS = (*((pattern, NO_SAMPLING) for pattern in REASONING), ("gpt-5*", RENAMED))

EMBEDDINGS: Mapping[str, Rule] = {
    "dimensions": Rule("pass", low=1),
    "encoding_format": PASS,
    "user": PASS,
}


def tables(provider: str) -> Mapping[Operation, ParameterRules]:
    """OpenAI's tables for an API that is OpenAI's own. What is not in them passes: OpenAI adds faster than we do."""
    one_size = ("text-embedding-ada-*", {"dimensions": refused("its vectors have one size")})
    return {
        "chat": ParameterRules(provider, CHAT, unknown=PASS, models=MODELS),
        "embeddings": ParameterRules(provider, EMBEDDINGS, unknown=PASS, models=(one_size,)),
    }


PLATFORM: Mapping[str, Rule] = {
    **dict.fromkeys(("metadata", "user", "safety_identifier"), dropped("the server keeps no such records")),
    **dict.fromkeys(("prompt_cache_key", "prompt_cache_retention"), dropped("the server caches in its own way")),
    "store": dropped("the server stores nothing", default=False),
    "service_tier": dropped("the server has one tier", "auto"),
    "verbosity": dropped("its models have no such setting", "medium"),
    "prediction": dropped("it is a hint for speed that the server does not know"),
    "modalities": refused("it answers in text", ["text"]),
    "audio": refused("it answers in text"),
    "web_search_options": refused("it does not search the web"),
    "functions": refused("use tools"),
    "function_call": refused("use tool_choice"),
}
"""What belongs to OpenAI's platform rather than to a model: the same answer at every server of open models."""
