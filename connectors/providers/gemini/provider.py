"""Google's Gemini API with a key: generateContent, streamGenerateContent and batchEmbedContents.

The facts, from Google's own reference (source: Gemini API, "Generating content", "Embeddings"): POST
{base_url}/models/{model}:{method}, the key in ``x-goog-api-key`` and never in the URL, where proxies would log it.
Embeddings come without a count of tokens: their usage is then zero, with no native usage beside it to say otherwise.
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
"""A model's full name starts with one of them; without it is one of ``models/``."""


class GeminiSettings(ProviderSettings):
    """How to reach the Gemini API."""

    kind: Literal["gemini"] = "gemini"
    base_url: str = Field(default=HOST, pattern=BASE_URL)
    api_key: HeaderSecret | None = None
    safety: dict[str, str] = Field(default_factory=dict)
    """What to block from which probability on, as HARM_CATEGORY_…: BLOCK_…; Google's defaults for what is not here."""

    @model_validator(mode="after")
    def _check_key(self) -> GeminiSettings:
        if self.base_url.rstrip("/") == HOST and not (self.api_key and self.api_key.get_secret_value()):
            raise ValueError("api_key is required for the Gemini API; create one in Google AI Studio")
        return self


class Gemini(HttpProvider):
    """The Gemini API, by one key."""

    Settings: ClassVar[type[ProviderSettings]] = GeminiSettings

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        assert isinstance(settings, GeminiSettings)
        key = settings.api_key.get_secret_value() if settings.api_key else ""
        super().__init__(name, settings, {"x-goog-api-key": key} if key else {}, settings.api_key)
        self._safety = [
            {"category": category, "threshold": threshold} for category, threshold in settings.safety.items()
        ]

    def to_request(self, call: ProviderCall) -> ProviderRequest:
        """Translate the request; the model stands in the path."""
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
        """Every event of a stream is a response as a whole answer would be, with the next piece in it."""
        return GeminiStreamDecoder(call)

    def to_error(self, response: Response) -> ProviderError:
        """Google's errors hold their reason and their hint in ``details``."""
        return read_error(response.status, response.headers, response.content)


def resource_name(model: str) -> str:
    """Write a model's full name as it stands in a path; no name can leave its place there."""
    collection = next((prefix for prefix in COLLECTIONS if model.startswith(prefix)), "")
    return (collection or COLLECTIONS[0]) + quote(model.removeprefix(collection), safe="")
