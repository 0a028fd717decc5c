"""Parameter rules of Gemini, and its thinking settings for each reasoning effort.

Sources: Gemini API, "Generating content" (GenerationConfig), "Thinking", "Embeddings", and "OpenAI compatibility",
from which the table of reasoning efforts is taken.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.providers.parameters import ParameterRules, Rule, drop, refuse
from schemas.events.vocabulary import Operation
from schemas.json_types import JsonObject

_INT32 = 2**31
_NO_END_USER = drop("it has no field for the end user")
_NO_LABELS = drop("it accepts no labels")
_CACHES = drop("it manages its own cache")

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
        "parallel_tool_calls": Rule("transform", reason="false is refused with tools", default=True),
        "modalities": refuse("it returns only text", ["text"]),
        "audio": refuse("it returns only text"),
        "logit_bias": refuse("it has no token bias", {}),
        "functions": refuse("use tools"),
        "function_call": refuse("use tool_choice"),
        "web_search_options": refuse("it has its own tool for web search"),
        "metadata": _NO_LABELS,
        "user": _NO_END_USER,
        "safety_identifier": _NO_END_USER,
        "prompt_cache_key": _CACHES,
        "prompt_cache_retention": _CACHES,
        "prediction": drop("it does not know this speed hint"),
        "service_tier": drop("it has other tiers", "auto"),
        "store": drop("it stores no answers", default=False),
        "verbosity": drop("it has no such setting", "medium"),
    },
)

EMBEDDINGS = ParameterRules(
    "gemini",
    {
        "dimensions": Rule("rename", "outputDimensionality", low=1),
        "task_type": Rule("rename", "taskType"),
        "encoding_format": Rule("transform", reason="the gateway encodes the vectors as base64", default="float"),
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
"""Thinking settings of each effort, by shell pattern of the model's name; the first match applies. Gemini 3 and later
have levels and cannot turn thinking off; 2.5 has a token budget; earlier models have no setting.
"""
