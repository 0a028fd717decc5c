"""What all servers in OpenAI's shape share: one settings section, one request, one reading of answers and streams.

A kind is a subclass of a few lines: where it is, its table of parameters, and the words in which it differs.
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
    """How to reach a server that speaks OpenAI's API. Each kind gives ``base_url`` its own default."""

    base_url: str = Field(pattern=BASE_URL)
    api_key: HeaderSecret | None = None
    headers: dict[HeaderName, HeaderSecret] = Field(default_factory=dict)
    """Sent with every call, for a server that wants more than a key."""

    @property
    def has_key(self) -> bool:
        """Whether there is one, and not just its empty name."""
        return bool(self.api_key and self.api_key.get_secret_value())

    def credentials(self) -> dict[str, str]:
        """The headers that say who we are."""
        return bearer_header(self.api_key)


class OpenAICompatibleProvider(HttpProvider):
    """One server that speaks OpenAI's API."""

    parameters: Mapping[Operation, ParameterRules]
    """What becomes of each parameter; every kind has its own tables."""
    message_names: ClassVar[frozenset[str] | None] = None
    """What a message may hold; None: whatever the caller wrote."""
    packs_vectors: bool = False
    """Whether it surely gives vectors in base64, which are a third of the bytes of numbers written out."""
    choice_reader: ClassVar[type[ChoiceReader]] = UnchangedChoice
    """How a choice is read: by default as it is."""

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        assert isinstance(settings, OpenAICompatibleSettings)
        headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        super().__init__(
            name, settings, {**headers, **settings.credentials()}, settings.api_key, *settings.headers.values()
        )

    def path(self, call: ProviderCall) -> str:
        """Where the call goes, behind the base URL."""
        return PATHS[call.operation]

    def parameter_model(self, call: ProviderCall) -> str:
        """Whose rules hold for the call's parameters: the model's own."""
        return call.model

    def stream_parameters(self) -> JsonObject:
        """How a stream is asked for. Whoever streams always asks for the usage."""
        return {"stream": True, "stream_options": {"include_usage": True}}

    def write_content(self, call: ProviderCall) -> tuple[JsonObject, list[Change]]:
        """Write what is no parameter: the messages or the inputs."""
        if call.operation == "embeddings":
            return {"input": call.body["input"]}, []
        messages, changes = with_known_names(call.body["messages"], self.message_names)
        return {"messages": messages}, changes

    def to_request(self, call: ProviderCall) -> ProviderRequest:
        """Write the caller's body with the provider's name for the model, by the table of parameters."""
        applied = self.parameters[call.operation].apply(call.body, self.parameter_model(call))
        content, changes = self.write_content(call)
        streaming = self.stream_parameters() if call.stream else {}
        body = {"model": call.model, **content, **applied.passed, **streaming}
        if self.packs_vectors and call.operation == "embeddings" and body.get("encoding_format") != PACKED_ENCODING:
            body["encoding_format"] = PACKED_ENCODING
            changes.append(Change(param="encoding_format", action="transformed", detail="base64, which is smaller"))
        return ProviderRequest(self.path(call), body, changes=[*applied.changes, *changes])

    def from_response(self, call: ProviderCall, body: Any, response: Response) -> ProviderAnswer:  # noqa: ANN401 - JSON of any shape
        """Read an answer, which is in OpenAI's shape already but for some words."""
        return read_answer(call.operation, body, response, self.choice_reader)

    def stream_decoder(self, call: ProviderCall) -> StreamDecoder:  # noqa: ARG002 - all its streams are alike
        """Its chunks are the ones that everybody else's are made into."""
        return ChunkStreamDecoder(self.choice_reader)


def bearer_header(secret: SecretStr | None) -> dict[str, str]:
    """The usual header for a key or a token; none without one."""
    return {"authorization": f"Bearer {secret.get_secret_value()}"} if secret and secret.get_secret_value() else {}
