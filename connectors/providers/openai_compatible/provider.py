"""Base class of providers with OpenAI's API: settings, requests, answers and streams.

A kind is a short subclass: its address, its parameter rules, and its differences from OpenAI.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from connectors.http_client import Response
from connectors.providers.openai_compatible.messages import with_known_names
from connectors.providers.openai_compatible.response import ChoiceReader, UnchangedChoice, read_answer
from connectors.providers.openai_compatible.stream import ChunkStreamDecoder
from connectors.providers.parameters import ParameterRules
from connectors.providers.provider import ProviderAnswer, ProviderCall
from connectors.providers.settings import BASE_URL, HeaderName, HeaderSecret, ProviderSettings
from connectors.providers.wire.http_provider import HttpProvider, ProviderRequest, StreamDecoder
from schemas.events.parts import Change
from schemas.events.vocabulary import Operation
from schemas.json_types import JsonObject

PATHS: dict[Operation, str] = {"chat": "/chat/completions", "embeddings": "/embeddings"}


PACKED_ENCODING = "base64"


class OpenAICompatibleSettings(ProviderSettings):
    """Settings of a server with OpenAI's API. Each kind gives ``base_url`` its own default."""

    base_url: str = Field(pattern=BASE_URL)
    api_key: HeaderSecret | None = None
    headers: dict[HeaderName, HeaderSecret] = Field(default_factory=dict)
    """Headers sent with every call, for a server that needs more than a key."""

    @property
    def has_key(self) -> bool:
        """True if the key is set and not empty."""
        return bool(self.api_key and self.api_key.get_secret_value())

    def credentials(self) -> dict[str, str]:
        """Return the authentication headers."""
        return bearer_header(self.api_key)


class OpenAICompatibleProvider(HttpProvider):
    """One server with OpenAI's API."""

    parameters: Mapping[Operation, ParameterRules]
    """Parameter rules; every kind has its own."""
    message_names: ClassVar[frozenset[str] | None] = None
    """Members that a message may have; None for all."""
    packs_vectors: bool = False
    """True if it can return vectors in base64, which take a third of the bytes of JSON numbers."""
    choice_reader: ClassVar[type[ChoiceReader]] = UnchangedChoice
    """Reader of a choice; by default it changes nothing."""

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        assert isinstance(settings, OpenAICompatibleSettings)
        headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        super().__init__(
            name, settings, {**headers, **settings.credentials()}, settings.api_key, *settings.headers.values()
        )

    def path(self, call: ProviderCall) -> str:
        """Return the path relative to the base URL."""
        return PATHS[call.operation]

    def parameter_model(self, call: ProviderCall) -> str:
        """Return the model whose parameter rules apply."""
        return call.model

    def stream_parameters(self) -> JsonObject:
        """Return the members that request a stream, with its usage."""
        return {"stream": True, "stream_options": {"include_usage": True}}

    def write_content(self, call: ProviderCall) -> tuple[JsonObject, list[Change]]:
        """Write the messages or the inputs."""
        if call.operation == "embeddings":
            return {"input": call.body["input"]}, []
        messages, changes = with_known_names(call.body["messages"], self.message_names)
        return {"messages": messages}, changes

    def to_request(self, call: ProviderCall) -> ProviderRequest:
        """Write the caller's body by the parameter rules, with the provider's name of the model."""
        applied = self.parameters[call.operation].apply(call.body, self.parameter_model(call))
        content, changes = self.write_content(call)
        streaming = self.stream_parameters() if call.stream else {}
        body = {"model": call.model, **content, **applied.passed, **streaming}
        if self.packs_vectors and call.operation == "embeddings" and body.get("encoding_format") != PACKED_ENCODING:
            body["encoding_format"] = PACKED_ENCODING
            changes.append(Change(param="encoding_format", action="transformed", detail="base64, which is smaller"))
        return ProviderRequest(self.path(call), body, changes=[*applied.changes, *changes])

    def from_response(self, call: ProviderCall, body: Any, response: Response) -> ProviderAnswer:  # noqa: ANN401 - JSON of any shape
        """Read an answer, which differs from OpenAI's format only in details."""
        return read_answer(call.operation, body, response, self.choice_reader)

    def stream_decoder(self, call: ProviderCall) -> StreamDecoder:  # noqa: ARG002 - all its streams have one format
        """Create the decoder; the chunks are already in OpenAI's format."""
        return ChunkStreamDecoder(self.choice_reader)


def bearer_header(secret: SecretStr | None) -> dict[str, str]:
    """Return the bearer header of a key or token; empty without one."""
    return {"authorization": f"Bearer {secret.get_secret_value()}"} if secret and secret.get_secret_value() else {}
