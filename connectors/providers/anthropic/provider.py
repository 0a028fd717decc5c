"""Anthropic's Messages API, for Claude and for servers with the same API.

Source: Anthropic's API reference. POST {base_url}/messages with the key in ``x-api-key`` and the version of the API in
``anthropic-version``. It has no embeddings. Its token counts are exclusive; ours are inclusive.
"""

from __future__ import annotations

import time
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from connectors.http_client import Response
from connectors.providers.anthropic.errors import read_error
from connectors.providers.anthropic.request import write_request
from connectors.providers.anthropic.response import read_completion
from connectors.providers.anthropic.stream import MessageStreamDecoder
from connectors.providers.anthropic.structured_output import answers_by_tool
from connectors.providers.parameters import invalid_parameter
from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.settings import BASE_URL, HeaderSecret, ProviderSettings
from connectors.providers.wire.http_provider import HttpProvider, ProviderRequest, StreamDecoder

HOST = "https://api.anthropic.com/v1"
PATH = "/messages"
VERSION = "2023-06-01"
"""Version of the API. Not the newest one: 2026-10-21 refuses temperature for models that still have it, and adds
nothing that we read.
"""
MAX_TOKENS = 8192


class AnthropicSettings(ProviderSettings):
    """Settings of Anthropic."""

    kind: Literal["anthropic"] = "anthropic"
    base_url: str = Field(default=HOST, pattern=BASE_URL)
    api_key: HeaderSecret | None = None
    version: str = Field(default=VERSION, pattern=r"^\d{4}-\d{2}-\d{2}$")
    """Version of the API."""
    beta: tuple[Annotated[str, Field(pattern=r"^[!-+\--~]+$")], ...] = ()
    """Beta features, sent in ``anthropic-beta``."""
    max_tokens: int = Field(default=MAX_TOKENS, ge=1)
    """Largest answer, thinking included, for requests without a limit: Anthropic requires one."""

    @model_validator(mode="after")
    def _check_key(self) -> AnthropicSettings:
        if self.base_url.rstrip("/") == HOST and not (self.api_key and self.api_key.get_secret_value()):
            raise ValueError("api_key is required for Anthropic itself; for your own server set base_url")
        return self


class Anthropic(HttpProvider):
    """One account at Anthropic."""

    Settings: ClassVar[type[ProviderSettings]] = AnthropicSettings

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        assert isinstance(settings, AnthropicSettings)
        super().__init__(name, settings, _headers(settings), settings.api_key)
        self._settings = settings

    def to_request(self, call: ProviderCall) -> ProviderRequest:
        """Translate the request into a Messages request.

        Raises:
            ProviderError: invalid_request, naming the unsupported parameter; ``model`` for embeddings.

        """
        if call.operation == "embeddings":
            raise invalid_parameter(
                "model", f"embeddings are not supported by anthropic/{call.model}: Anthropic has none"
            )
        body, changes = write_request(call, self._settings.max_tokens, self._settings.version)
        return ProviderRequest(PATH, body, changes=changes)

    def from_response(self, call: ProviderCall, body: Any, response: Response) -> ProviderAnswer:  # noqa: ANN401, ARG002 - JSON of any shape
        """Translate a message into a completion."""
        return read_completion(body, int(time.time()), by_tool=answers_by_tool(call))

    def stream_decoder(self, call: ProviderCall) -> StreamDecoder:
        """Create the decoder of its events."""
        return MessageStreamDecoder(int(time.time()), by_tool=answers_by_tool(call))

    def to_error(self, response: Response) -> ProviderError:
        """Classify an error, with the delays of Anthropic's own headers."""
        return read_error(response)


def _headers(settings: AnthropicSettings) -> dict[str, str]:
    headers = {"anthropic-version": settings.version}
    if settings.api_key and settings.api_key.get_secret_value():
        headers["x-api-key"] = settings.api_key.get_secret_value()
    if settings.beta:
        headers["anthropic-beta"] = ",".join(settings.beta)
    return headers
