"""Ollama, local or in its cloud (base_url https://ollama.com/v1).

Source: Ollama, "OpenAI compatibility", the lists of supported request fields. It silently ignores all others, so they
are refused here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from connectors.providers.openai_compatible.messages import SERVER_NAMES
from connectors.providers.openai_compatible.parameters import CHAT_RULES, PLATFORM_RULES
from connectors.providers.openai_compatible.provider import OpenAICompatibleProvider, OpenAICompatibleSettings
from connectors.providers.openai_compatible.response import ChoiceReader
from connectors.providers.parameters import PASS, ParameterRules, Rule, drop, refuse
from connectors.providers.settings import BASE_URL, ProviderSettings
from schemas.events.vocabulary import Operation

HOST = "http://127.0.0.1:11434/v1"

IGNORED = Rule("error", reason="ollama would ignore it")

PARAMETERS: Mapping[Operation, ParameterRules] = {
    "chat": ParameterRules(
        "ollama",
        {
            **PLATFORM_RULES,
            **dict.fromkeys(("max_tokens", "stop", "seed", "tools", "tool_choice", "response_format"), PASS),
            **dict.fromkeys(("reasoning_effort", "reasoning", "logprobs"), PASS),
            **{name: CHAT_RULES[name] for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty")},
            "top_logprobs": CHAT_RULES["top_logprobs"],
            "max_completion_tokens": Rule("rename", "max_tokens"),
            "parallel_tool_calls": drop("the model decides how many tools it calls", default=True),
            "n": refuse("it returns one answer", 1),
            "logit_bias": refuse("it has no such setting", {}),
        },
        unknown=IGNORED,
    ),
    "embeddings": ParameterRules(
        "ollama",
        {"dimensions": Rule("pass", low=1), "encoding_format": PASS, "user": PLATFORM_RULES["user"]},
        unknown=IGNORED,
    ),
}


class OllamaSettings(OpenAICompatibleSettings):
    """Settings of an Ollama server."""

    kind: Literal["ollama"] = "ollama"
    base_url: str = Field(default=HOST, pattern=BASE_URL)


class Ollama(OpenAICompatibleProvider):
    """One Ollama server."""

    Settings: ClassVar[type[ProviderSettings]] = OllamaSettings
    parameters = PARAMETERS
    message_names = SERVER_NAMES
    choice_reader = ChoiceReader
