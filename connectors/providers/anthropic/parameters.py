"""What becomes of OpenAI's parameters at Anthropic.

Source: Anthropic's API reference, "Create a Message", and "OpenAI SDK compatibility" for what has no counterpart.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.providers.anthropic.models import MODELS, Traits
from connectors.providers.parameters import PASS, TRANSFORM, ParameterRules, Rule, dropped, refused
from schemas.events.vocabulary import Operation

NO_SUCH_SETTING = dropped("Anthropic has no such setting")
NO_SAMPLING = dropped("this model has no sampling settings", default=1)
UNIT_RANGE = Rule("pass", low=0, high=1)

SAMPLING = ("temperature", "top_p", "top_k")


def _sampling(traits: Traits) -> Mapping[str, Rule]:
    if traits.sampling == "none":
        return dict.fromkeys(SAMPLING, NO_SAMPLING)
    return {"temperature": UNIT_RANGE, "top_p": UNIT_RANGE, "top_k": Rule("pass", low=0)}


CHAT = ParameterRules(
    "anthropic",
    {
        **dict.fromkeys(("max_tokens", "max_completion_tokens", "stop"), TRANSFORM),
        **dict.fromkeys(("tools", "tool_choice", "parallel_tool_calls", "response_format"), TRANSFORM),
        **dict.fromkeys(("reasoning_effort", "thinking", "output_config"), TRANSFORM),
        **dict.fromkeys(("user", "safety_identifier"), TRANSFORM),
        **dict.fromkeys(("cache_control", "inference_geo", "speed"), PASS),
        **dict.fromkeys(("seed", "frequency_penalty", "presence_penalty", "verbosity", "prediction"), NO_SUCH_SETTING),
        **dict.fromkeys(("prompt_cache_key", "prompt_cache_retention", "service_tier"), NO_SUCH_SETTING),
        "metadata": dropped("Anthropic takes no labels"),
        "store": dropped("Anthropic keeps no answers", default=False),
        "functions": refused("use tools"),
        "function_call": refused("use tool_choice"),
        "logit_bias": refused("Anthropic has no such setting"),
        "top_logprobs": refused("Anthropic gives no log probabilities"),
        "n": refused("Anthropic gives one answer", default=1),
        "logprobs": refused("Anthropic gives no log probabilities", default=False),
        "modalities": refused("Anthropic gives text", default=["text"]),
        "audio": refused("Anthropic gives no audio"),
        "web_search_options": refused("Anthropic searches the web by a tool of its own"),
    },
    models=tuple((pattern, _sampling(traits)) for pattern, traits in MODELS),
)

PARAMETERS: Mapping[Operation, ParameterRules] = {"chat": CHAT}
