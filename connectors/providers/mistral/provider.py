"""Mistral's API: OpenAI's shape, with its own names, its own ids, and answers in parts when a model reasons.

Source: Mistral API reference, "Chat Completion", "Embeddings"; "Reasoning", for thinking parts. A stream brings its
usage unasked, with the last choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from connectors.http_client import Response
from connectors.providers.mistral.messages import write_messages
from connectors.providers.mistral.parameters import EFFORTS, PARAMETERS
from connectors.providers.openai_compatible.provider import OpenAICompatibleProvider, OpenAICompatibleSettings
from connectors.providers.openai_compatible.response import ChoiceReader
from connectors.providers.parameters import invalid_parameter
from connectors.providers.provider import ProviderCall, ProviderError
from connectors.providers.settings import BASE_URL, ProviderSettings
from connectors.providers.wire.embeddings import text_inputs
from connectors.providers.wire.errors import read_error_details
from connectors.providers.wire.http_provider import ProviderRequest
from schemas.events.parts import Change
from schemas.json_types import JsonObject

HOST = "https://api.mistral.ai/v1"


class MistralSettings(OpenAICompatibleSettings):
    """How to reach Mistral."""

    kind: Literal["mistral"] = "mistral"
    base_url: str = Field(default=HOST, pattern=BASE_URL)

    @model_validator(mode="after")
    def _check_key(self) -> MistralSettings:
        if self.base_url.rstrip("/") == HOST and not self.has_key:
            raise ValueError("api_key is needed for Mistral itself")
        return self


class MistralChoice(ChoiceReader):
    """Reads content that is a list of parts: what was thought, and what is said."""

    finish_reasons: ClassVar[Mapping[str, str]] = {"model_length": "length"}

    def __init__(self) -> None:
        super().__init__()
        self._signature: JsonObject = {}

    def read_message(self, part: JsonObject) -> None:
        """Tell thinking from text. What is neither (references) has no place in OpenAI's answer."""
        content = part.get("content")
        if not isinstance(content, list):
            return
        parts = [item for item in content if isinstance(item, dict)]
        thoughts = [item for item in parts if item.get("type") == "thinking"]
        part["content"] = _join_texts(item for item in parts if item.get("type") == "text")
        if thoughts:
            self._signature |= next(
                ({"signature": item["signature"]} for item in thoughts if item.get("signature")), {}
            )
            part["reasoning_content"] = "".join(_thinking_text(item) for item in thoughts)
            part["extra_content"] = {"mistral": dict(self._signature)}


def _thinking_text(item: JsonObject) -> str:
    inner = item.get("thinking")
    return _join_texts(inner) if isinstance(inner, list) else _join_texts([{"text": inner}])


def _join_texts(items: Any) -> str:  # noqa: ANN401 - JSON of any shape
    texts = (item.get("text") for item in items if isinstance(item, dict))
    return "".join(text for text in texts if isinstance(text, str))


class Mistral(OpenAICompatibleProvider):
    """Mistral."""

    Settings: ClassVar[type[ProviderSettings]] = MistralSettings
    parameters = PARAMETERS
    choice_reader = MistralChoice

    def stream_parameters(self) -> JsonObject:
        """It has no stream_options, and answers 422 to them."""
        return {"stream": True}

    def write_content(self, call: ProviderCall) -> tuple[JsonObject, list[Change]]:
        """Write the messages, or the inputs, which are texts only.

        Raises:
            ProviderError: invalid_request, naming what can't be had.

        """
        if call.operation == "chat":
            messages, changes = write_messages(call.body["messages"])
            return {"messages": messages}, changes
        text_inputs(call, "mistral")
        return {"input": call.body["input"]}, []

    def to_request(self, call: ProviderCall) -> ProviderRequest:
        """Write the effort too, of which Mistral knows two.

        Raises:
            ProviderError: invalid_request, naming what can't be had.

        """
        outgoing = super().to_request(call)
        effort = call.body.get("reasoning_effort") if call.operation == "chat" else None
        if effort is None:
            return outgoing
        if effort not in EFFORTS:
            raise invalid_parameter(
                "reasoning_effort", f"reasoning_effort must be none or high for mistral/{call.model}"
            )
        return ProviderRequest(outgoing.path, {**outgoing.body, "reasoning_effort": effort}, changes=outgoing.changes)

    def to_error(self, response: Response) -> ProviderError:
        """Read what only Mistral says: that there is no such model, and 3210, of tokens as well as of inputs."""
        error = super().to_error(response)
        if error.error_type == "invalid_request":
            if read_error_details(response.content).type == "invalid_model":
                error.error_type = "not_found"
            elif "Too many tokens" in error.message:
                error.error_type = "context_length"
        return error
