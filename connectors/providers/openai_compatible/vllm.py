"""vLLM's OpenAI-compatible server. Its parameters beyond OpenAI's (top_k, min_p, structured_outputs, …) are passed on.

Source: vLLM, "OpenAI-Compatible Server".
With a reasoning parser it returns ``reasoning``, without one the text contains it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from connectors.providers.openai_compatible.messages import SERVER_NAMES
from connectors.providers.openai_compatible.parameters import PLATFORM_RULES
from connectors.providers.openai_compatible.provider import OpenAICompatibleProvider, OpenAICompatibleSettings
from connectors.providers.openai_compatible.response import ChoiceReader
from connectors.providers.parameters import PASS, ParameterRules
from connectors.providers.settings import BASE_URL, ProviderSettings
from schemas.events.vocabulary import Operation

HOST = "http://127.0.0.1:8000/v1"

PARAMETERS: Mapping[Operation, ParameterRules] = {
    "chat": ParameterRules("vllm", PLATFORM_RULES, unknown=PASS),
    "embeddings": ParameterRules("vllm", {"user": PLATFORM_RULES["user"]}, unknown=PASS),
}


class VLLMSettings(OpenAICompatibleSettings):
    """Settings of a vLLM server."""

    kind: Literal["vllm"] = "vllm"
    base_url: str = Field(default=HOST, pattern=BASE_URL)


class VLLM(OpenAICompatibleProvider):
    """One vLLM server."""

    Settings: ClassVar[type[ProviderSettings]] = VLLMSettings
    parameters = PARAMETERS
    message_names = SERVER_NAMES
    choice_reader = ChoiceReader
