"""llama.cpp's server. Its parameters beyond OpenAI's (top_k, min_p, grammar, cache_prompt, …) are passed on.

Source: llama.cpp, "tools/server/README.md", POST /v1/chat/completions and /v1/embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from connectors.providers.openai_compatible.messages import SERVER_NAMES
from connectors.providers.openai_compatible.parameters import PLATFORM_RULES
from connectors.providers.openai_compatible.provider import OpenAICompatibleProvider, OpenAICompatibleSettings
from connectors.providers.openai_compatible.response import ChoiceReader
from connectors.providers.parameters import PASS, ParameterRules, Rule, refuse
from connectors.providers.settings import BASE_URL, ProviderSettings
from schemas.events.vocabulary import Operation

HOST = "http://127.0.0.1:8080/v1"

PARAMETERS: Mapping[Operation, ParameterRules] = {
    "chat": ParameterRules(
        "llamacpp", {**PLATFORM_RULES, "max_completion_tokens": Rule("rename", "max_tokens", low=1)}, unknown=PASS
    ),
    "embeddings": ParameterRules(
        "llamacpp",
        {"user": PLATFORM_RULES["user"], "dimensions": refuse("its vectors have the model's size")},
        unknown=PASS,
    ),
}


class LlamaCppSettings(OpenAICompatibleSettings):
    """Settings of a llama.cpp server."""

    kind: Literal["llamacpp"] = "llamacpp"
    base_url: str = Field(default=HOST, pattern=BASE_URL)


class LlamaCpp(OpenAICompatibleProvider):
    """One llama.cpp server."""

    Settings: ClassVar[type[ProviderSettings]] = LlamaCppSettings
    parameters = PARAMETERS
    message_names = SERVER_NAMES
    choice_reader = ChoiceReader
