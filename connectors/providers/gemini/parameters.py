"""What becomes of OpenAI's parameters at Gemini, and what an effort to reason means there.

Sources: Gemini API, "Generating content" (GenerationConfig), "Thinking", "Embeddings", and "OpenAI compatibility",
whose own table of reasoning efforts this one is.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.providers.parameters import ParameterRules, Rule, drop, refuse
from schemas.events.vocabulary import Operation
from schemas.json_types import JsonObject

_INT32 = 2**31
_NO_END_USER = drop("there is no field for the end user")
_NO_LABELS = drop("there are no labels in this API")
_CACHES = drop("it caches by itself")

CHAT = ParameterRules(
    "gemini",
    {
        "temperature": Rule("pass", low=0, high=2),
        "top_p": Rule("rename", "topP", low=0, high=1),
        "top_k": Rule("rename", "topK", low=1),
        "max_tokens": Rule("rename", "maxOutputTokens", low=1),
        "max_completion_tokens": Rule("rename", "maxOutputTokens", low=1),
        "n": Rule("rename", "candidateCount", low=1, high=8, default=1),
        "seed": Rule("pass", low=-_INT32, high=_INT32 - 1),
        "frequency_penalty": Rule("rename", "frequencyPenalty", low=-2, high=2),
        "presence_penalty": Rule("rename", "presencePenalty", low=-2, high=2),
        "logprobs": Rule("rename", "responseLogprobs", default=False),
        "top_logprobs": Rule("rename", "logprobs", low=0, high=20),
        "stop": Rule("transform", "stopSequences"),
        "response_format": Rule("transform", "responseMimeType, responseJsonSchema", default={"type": "text"}),
        "reasoning_effort": Rule("transform", "thinkingConfig"),
        "tools": Rule("transform", "tools.functionDeclarations", default=[]),
        "tool_choice": Rule("transform", "toolConfig"),
        "parallel_tool_calls": Rule("transform", reason="false is refused beside tools", default=True),
        "modalities": refuse("it answers in text", ["text"]),
        "audio": refuse("it answers in text"),
        "logit_bias": refuse("it has no bias for single tokens", {}),
        "functions": refuse("use tools"),
        "function_call": refuse("use tool_choice"),
        "web_search_options": refuse("it searches the web by a tool of its own"),
        "metadata": _NO_LABELS,
        "user": _NO_END_USER,
        "safety_identifier": _NO_END_USER,
        "prompt_cache_key": _CACHES,
        "prompt_cache_retention": _CACHES,
        "prediction": drop("it takes no hint that only makes an answer faster"),
        "service_tier": drop("its tiers are others", "auto"),
        "store": drop("nothing is kept there for later", default=False),
        "verbosity": drop("there is no such setting", "medium"),
    },
)

EMBEDDINGS = ParameterRules(
    "gemini",
    {
        "dimensions": Rule("rename", "outputDimensionality", low=1),
        "task_type": Rule("rename", "taskType"),
        "encoding_format": Rule("transform", reason="the gateway encodes: numbers are all it gives", default="float"),
        "user": _NO_END_USER,
        "metadata": _NO_LABELS,
    },
)

PARAMETERS: Mapping[Operation, ParameterRules] = {"chat": CHAT, "embeddings": EMBEDDINGS}

_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
_LEVELS = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH"}


def _budgets(**more: int) -> dict[str, JsonObject]:
    return {effort: {"thinkingBudget": tokens} for effort, tokens in {**more, **_BUDGETS}.items()}


def _levels(**instead: str) -> dict[str, JsonObject]:
    return {effort: {"thinkingLevel": level} for effort, level in {**_LEVELS, **instead}.items()}


THINKING: tuple[tuple[str, Mapping[str, JsonObject]], ...] = (
    ("gemini-2.5-pro*", _budgets()),
    ("gemini-2.5-*", _budgets(none=0)),
    ("gemini-[12].*", {"none": {}}),
    ("gemma-*", {"none": {}}),
    ("gemini-*pro*", _levels(minimal="LOW")),
    ("*", _levels()),
)
"""What an effort means, by shell pattern of the model's name; the first that matches counts. Levels since Gemini 3,
which can't be kept from thinking; a budget in tokens before it; nothing at all before 2.5."""
