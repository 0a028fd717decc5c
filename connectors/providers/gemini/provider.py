"""Google's Gemini API with a key: generateContent, streamGenerateContent and batchEmbedContents.

Source: Gemini API, "Generating content", "Embeddings". POST {base_url}/models/{model}:{method}, with the key in
``x-goog-api-key`` and not in the URL, which proxies log. Embeddings without a token count have a usage of zero and no
native usage.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field, model_validator

from connectors.http_client import Response
from connectors.providers.gemini.embeddings import read_embeddings, write_embeddings
from connectors.providers.gemini.errors import read_error
from connectors.providers.gemini.request import write_chat
from connectors.providers.gemini.response import GeminiStreamDecoder, read_completion
from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.settings import BASE_URL, HeaderSecret, ProviderSettings
from connectors.providers.wire.http_provider import HttpProvider, ProviderRequest, StreamDecoder

HOST = "https://generativelanguage.googleapis.com/v1beta"

COLLECTIONS = ("models/", "tunedModels/")
"""Prefixes of a model's full name; a name without one is in ``models/``."""


class GeminiSettings(ProviderSettings):
    """Settings of the Gemini API."""

    kind: Literal["gemini"] = "gemini"
    base_url: str = Field(default=HOST, pattern=BASE_URL)
    api_key: HeaderSecret | None = None
    safety: dict[str, str] = Field(default_factory=dict)
    """Blocking thresholds, as HARM_CATEGORY_…: BLOCK_…; other categories keep Google's defaults."""

    @model_validator(mode="after")
    def _check_key(self) -> GeminiSettings:
        if self.base_url.rstrip("/") == HOST and not (self.api_key and self.api_key.get_secret_value()):
            raise ValueError("api_key is required for the Gemini API; create one in Google AI Studio")
        return self


class Gemini(HttpProvider):
    """Gemini API with one key."""

    Settings: ClassVar[type[ProviderSettings]] = GeminiSettings

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        assert isinstance(settings, GeminiSettings)
        key = settings.api_key.get_secret_value() if settings.api_key else ""
        super().__init__(name, settings, {"x-goog-api-key": key} if key else {}, settings.api_key)
        self._safety = [
            {"category": category, "threshold": threshold} for category, threshold in settings.safety.items()
        ]

    def to_request(self, call: ProviderCall) -> ProviderRequest:
        """Translate the request; the model is in the path."""
        model = resource_name(call.model)
        if call.operation == "embeddings":
            body, changes = write_embeddings(call, model)
            return ProviderRequest(f"/{model}:batchEmbedContents", body, changes=changes)
        body, changes = write_chat(call)
        if self._safety:
            body["safetySettings"] = self._safety
        method = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
        return ProviderRequest(f"/{model}:{method}", body, changes=changes)

    def from_response(self, call: ProviderCall, body: Any, response: Response) -> ProviderAnswer:  # noqa: ANN401, ARG002 - JSON of any shape
        """Translate the answer."""
        return read_embeddings(call, body) if call.operation == "embeddings" else read_completion(call, body)

    def stream_decoder(self, call: ProviderCall) -> StreamDecoder:
        """Create the decoder: each event of a stream has the format of a complete response."""
        return GeminiStreamDecoder(call)

    def to_error(self, response: Response) -> ProviderError:
        """Classify an error by its details."""
        return read_error(response.status, response.headers, response.content)


def resource_name(model: str) -> str:
    """Return a model's full name for a path, quoted so that it cannot leave its path segment."""
    collection = next((prefix for prefix in COLLECTIONS if model.startswith(prefix)), "")
    return (collection or COLLECTIONS[0]) + quote(model.removeprefix(collection), safe="")
