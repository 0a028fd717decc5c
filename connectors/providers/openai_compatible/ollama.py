"""Ollama, on this machine or in its cloud (base_url https://ollama.com/v1).

Source: Ollama, "OpenAI compatibility", the lists of supported request fields. What is not on them it would ignore
without a word, so it is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from connectors.providers.openai_compatible.messages import SERVER_NAMES
from connectors.providers.openai_compatible.parameters import CHAT, PLATFORM
from connectors.providers.openai_compatible.provider import Compatible, CompatibleSettings
from connectors.providers.openai_compatible.response import ChoiceReader
from connectors.providers.parameters import PASS, ParameterRules, Rule, dropped, refused
from connectors.providers.settings import BASE_URL, ProviderSettings
from schemas.events.vocabulary import Operation

HOST = "http://127.0.0.1:11434/v1"

IGNORED = Rule("error", why="ollama would ignore it")

PARAMETERS: Mapping[Operation, ParameterRules] = {
    "chat": ParameterRules(
        "ollama",
        {
            **PLATFORM,
            **dict.fromkeys(("max_tokens", "stop", "seed", "tools", "tool_choice", "response_format"), PASS),
            **dict.fromkeys(("reasoning_effort", "reasoning", "logprobs"), PASS),
            **{name: CHAT[name] for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty")},
            "top_logprobs": CHAT["top_logprobs"],
            "max_completion_tokens": Rule("rename", "max_tokens"),
            "parallel_tool_calls": dropped("a model calls as many tools as it likes", default=True),
            "n": refused("it gives one answer", 1),
            "logit_bias": refused("it has no such setting", {}),
        },
        unknown=IGNORED,
    ),
    "embeddings": ParameterRules(
        "ollama",
        {"dimensions": Rule("pass", low=1), "encoding_format": PASS, "user": PLATFORM["user"]},
        unknown=IGNORED,
    ),
}


class OllamaSettings(CompatibleSettings):
    """How to reach an Ollama server."""

    kind: Literal["ollama"] = "ollama"
    base_url: str = Field(default=HOST, pattern=BASE_URL)


class Ollama(Compatible):
    """One Ollama server."""

    Settings: ClassVar[type[ProviderSettings]] = OllamaSettings
    parameters = PARAMETERS
    message_names = SERVER_NAMES
    choices = ChoiceReader
