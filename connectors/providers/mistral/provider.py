"""Mistral's API: OpenAI's format with its own parameter names, its own ids, and answers in parts for reasoning.

Source: Mistral API reference, "Chat Completion", "Embeddings"; "Reasoning", for thinking parts. A stream has its
usage without a request for it, with the last choice.
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
    """Settings of Mistral."""

    kind: Literal["mistral"] = "mistral"
    base_url: str = Field(default=HOST, pattern=BASE_URL)

    @model_validator(mode="after")
    def _check_key(self) -> MistralSettings:
        if self.base_url.rstrip("/") == HOST and not self.has_key:
            raise ValueError("api_key is required for Mistral itself")
        return self


class MistralChoice(ChoiceReader):
    """Reader of choices whose content is a list of parts: thinking and text."""

    finish_reasons: ClassVar[Mapping[str, str]] = {"model_length": "length"}

    def __init__(self) -> None:
        super().__init__()
        self._signature: JsonObject = {}

    def read_message(self, part: JsonObject) -> None:
        """Separate thinking and text. Other parts (references) have no place in OpenAI's format."""
        content = part.get("content")
        if not isinstance(content, list):
            return
        parts = [item for item in content if isinstance(item, dict)]
        thinking = [item for item in parts if item.get("type") == "thinking"]
        part["content"] = _join_texts(item for item in parts if item.get("type") == "text")
        if thinking:
            self._signature |= next(
                ({"signature": item["signature"]} for item in thinking if item.get("signature")), {}
            )
            part["reasoning_content"] = "".join(_thinking_text(item) for item in thinking)
            part["extra_content"] = {"mistral": dict(self._signature)}


def _thinking_text(item: JsonObject) -> str:
    inner = item.get("thinking")
    return _join_texts(inner) if isinstance(inner, list) else _join_texts([{"text": inner}])


def _join_texts(items: Any) -> str:  # noqa: ANN401 - JSON of any shape
    texts = (item.get("text") for item in items if isinstance(item, dict))
    return "".join(text for text in texts if isinstance(text, str))


class Mistral(OpenAICompatibleProvider):
    """Mistral, with one key."""

    Settings: ClassVar[type[ProviderSettings]] = MistralSettings
    parameters = PARAMETERS
    choice_reader = MistralChoice

    def stream_parameters(self) -> JsonObject:
        """Request a stream without stream_options, to which Mistral answers 422."""
        return {"stream": True}

    def write_content(self, call: ProviderCall) -> tuple[JsonObject, list[Change]]:
        """Write the messages, or the inputs, which must be texts.

        Raises:
            ProviderError: invalid_request, naming the unsupported parameter.

        """
        if call.operation == "chat":
            messages, changes = write_messages(call.body["messages"])
            return {"messages": messages}, changes
        text_inputs(call, "mistral")
        return {"input": call.body["input"]}, []

    def to_request(self, call: ProviderCall) -> ProviderRequest:
        """Translate the request, with one of Mistral's two reasoning efforts.

        Raises:
            ProviderError: invalid_request, naming the unsupported parameter.

        """
        request = super().to_request(call)
        effort = call.body.get("reasoning_effort") if call.operation == "chat" else None
        if effort is None:
            return request
        if effort not in EFFORTS:
            raise invalid_parameter(
                "reasoning_effort", f"reasoning_effort must be none or high for mistral/{call.model}"
            )
        return ProviderRequest(request.path, {**request.body, "reasoning_effort": effort}, changes=request.changes)

    def to_error(self, response: Response) -> ProviderError:
        """Classify an error, also by Mistral's own texts.

        They are invalid_model, and 3210, which is sent for too many tokens as well as for too many inputs.
        """
        error = super().to_error(response)
        if error.error_type == "invalid_request":
            if read_error_details(response.content).type == "invalid_model":
                error.error_type = "not_found"
            elif "Too many tokens" in error.message:
                error.error_type = "context_length"
        return error
