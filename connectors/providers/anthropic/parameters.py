"""Parameter rules of Anthropic.

Source: Anthropic's API reference, "Create a Message", and "OpenAI SDK compatibility" for what has no counterpart.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.providers.anthropic.models import MODELS, ModelTraits
from connectors.providers.parameters import PASS, TRANSFORM, ParameterRules, Rule, drop, refuse
from schemas.events.vocabulary import Operation

NO_SUCH_SETTING = drop("Anthropic has no such setting")
NO_SAMPLING = drop("this model has no sampling settings", default=1)
UNIT_RANGE = Rule("pass", low=0, high=1)

SAMPLING = ("temperature", "top_p", "top_k")


def _sampling(traits: ModelTraits) -> Mapping[str, Rule]:
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
        "metadata": drop("Anthropic accepts no labels"),
        "store": drop("Anthropic stores no answers", default=False),
        "functions": refuse("use tools"),
        "function_call": refuse("use tool_choice"),
        "logit_bias": refuse("Anthropic has no such setting"),
        "top_logprobs": refuse("Anthropic returns no log probabilities"),
        "n": refuse("Anthropic returns one answer", default=1),
        "logprobs": refuse("Anthropic returns no log probabilities", default=False),
        "modalities": refuse("Anthropic returns only text", default=["text"]),
        "audio": refuse("Anthropic returns no audio"),
        "web_search_options": refuse("Anthropic has its own tool for web search"),
    },
    models=tuple((pattern, _sampling(traits)) for pattern, traits in MODELS),
)

PARAMETERS: Mapping[Operation, ParameterRules] = {"chat": CHAT}
