"""Parameter rules of Bedrock.

Source: Amazon Bedrock API Reference, "Converse: Request Syntax", "InferenceConfiguration"; Amazon Bedrock User Guide,
"Amazon Titan Embeddings", "Cohere Embed"; Amazon Nova User Guide, "Complete embeddings request and response schema".
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.providers.anthropic.models import MODELS
from connectors.providers.parameters import PASS, TRANSFORM, ParameterRules, Rule, drop, refuse
from schemas.events.vocabulary import Operation

NO_SETTING = "Converse has no such setting"
NO_LOGPROBS = "Converse returns no log probabilities"
ONLY_TEXT = "Converse returns only text"
NO_SAMPLING = Rule("drop", reason="this model has no sampling settings")

SAMPLING: Mapping[str, Rule] = {
    "temperature": Rule("pass", low=0, high=1),
    "top_p": Rule("rename", to="topP", low=0, high=1),
    "top_k": Rule("transform", low=0),
}

CHAT = ParameterRules(
    "bedrock",
    {
        **SAMPLING,
        **dict.fromkeys(("max_tokens", "max_completion_tokens"), Rule("rename", to="maxTokens", low=1)),
        **dict.fromkeys(("stop", "tools", "tool_choice", "response_format"), TRANSFORM),
        "parallel_tool_calls": Rule(
            "transform", reason="false is refused with tools: Converse cannot limit the answer to one call"
        ),
        **dict.fromkeys(("reasoning_effort", "metadata", "additionalModelRequestFields"), TRANSFORM),
        **dict.fromkeys(("guardrailConfig", "performanceConfig"), PASS),
        "service_tier": Rule("transform", default="auto"),
        **dict.fromkeys(("frequency_penalty", "presence_penalty"), drop(NO_SETTING, default=0)),
        **dict.fromkeys(("seed", "verbosity", "prediction", "prompt_cache_key"), drop(NO_SETTING)),
        **dict.fromkeys(("user", "safety_identifier"), drop("Converse has no field for the end user")),
        "store": drop("Bedrock stores no answers", default=False),
        "n": refuse("Converse returns one answer per call", default=1),
        "logprobs": refuse(NO_LOGPROBS, default=False),
        "top_logprobs": refuse(NO_LOGPROBS, default=0),
        "logit_bias": refuse("Converse has no token bias", default={}),
        "modalities": refuse(ONLY_TEXT, default=["text"]),
        "audio": refuse(ONLY_TEXT),
        "functions": refuse("use tools"),
        "function_call": refuse("use tool_choice"),
        "web_search_options": refuse("Converse does not search the web"),
    },
    models=tuple(
        (pattern, dict.fromkeys(SAMPLING, NO_SAMPLING) if traits.sampling == "none" else SAMPLING)
        for pattern, traits in MODELS
        if "claude" in pattern
    ),
)

EMBEDDINGS = ParameterRules(
    "bedrock",
    {
        "dimensions": TRANSFORM,
        "encoding_format": Rule("transform", reason="the gateway encodes the vectors as base64"),
        "input_type": refuse("only Cohere's models support it"),
        **dict.fromkeys(("user", "metadata"), drop("InvokeModel accepts neither labels nor an end user")),
    },
    models=(("*cohere.embed*", {"input_type": PASS}),),
)

PARAMETERS: Mapping[Operation, ParameterRules] = {"chat": CHAT, "embeddings": EMBEDDINGS}
