"""Azure OpenAI: OpenAI's models with Microsoft's addresses, keys and content filter.

Source: Azure OpenAI REST API reference; "API version lifecycle"; "Content filtering"; "Content streaming".
Classic: POST {base_url}/openai/deployments/{deployment}/chat/completions?api-version=…
v1, without api-version: POST {base_url}/openai/v1/chat/completions. The model is the deployment's name in both.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from urllib.parse import quote

import orjson
from pydantic import Field, model_validator

from connectors.http_client import Response
from connectors.providers.openai_compatible.messages import OPENAI_NAMES
from connectors.providers.openai_compatible.parameters import openai_tables
from connectors.providers.openai_compatible.provider import (
    PATHS,
    OpenAICompatibleProvider,
    OpenAICompatibleSettings,
    bearer_header,
)
from connectors.providers.openai_compatible.stream import ChunkStreamDecoder
from connectors.providers.provider import ProviderCall, ProviderError
from connectors.providers.settings import BASE_URL, HeaderSecret, ProviderSettings
from schemas.json_types import JsonObject

HOST = "https://{resource}.openai.azure.com"

PARAMETERS = openai_tables("azure")

STREAM_USAGE_SINCE = "2024-09-01"
"""First api-version that accepts stream_options. Before it a stream has no usage, and requesting it is an error."""


class AzureSettings(OpenAICompatibleSettings):
    """Settings of one Azure OpenAI resource."""

    kind: Literal["azure"] = "azure"
    base_url: str = Field(default="", pattern=BASE_URL + "|^$")
    resource: str = Field(default="", pattern=r"^[A-Za-z0-9-]*$")
    """Name of the resource, from which base_url is derived."""
    api_version: str = Field(default="", pattern=r"^(\d{4}-\d{2}-\d{2}(-preview)?)?$")
    """Version of the classic API; empty for the v1 API, which has no version."""
    token: HeaderSecret | None = None
    """Microsoft Entra token, instead of a key. It expires and is not renewed here."""

    deployments: dict[str, str] = Field(default_factory=dict)
    """Model of each deployment whose name differs from its model, such as ``{chat-prod: gpt-5-mini}``."""

    @model_validator(mode="before")
    @classmethod
    def _resource_to_base_url(cls, value: Any) -> Any:  # noqa: ANN401 - what a file may hold
        if isinstance(value, dict) and value.get("resource") and not value.get("base_url"):
            return {**value, "base_url": HOST.format(resource=value["resource"])}
        return value

    @model_validator(mode="after")
    def _check_address_and_credentials(self) -> AzureSettings:
        if not self.base_url:
            raise ValueError("resource or base_url is required: the address is https://<resource>.openai.azure.com")
        if self.has_key and self.token:
            raise ValueError("api_key and token are mutually exclusive")
        if not (self.has_key or self.token or self.headers):
            raise ValueError("api_key or token is required")
        return self

    def model_of(self, deployment: str) -> str:
        """Return the model of a deployment: the configured one, else the deployment's name."""
        return self.deployments.get(deployment, deployment)

    def price_key(self, model: str) -> tuple[str, str]:
        """Price a deployment as its model."""
        return "", self.model_of(model)

    def credentials(self) -> dict[str, str]:
        """Return the key in Azure's own header, or the token."""
        key = {"api-key": self.api_key.get_secret_value()} if self.api_key and self.has_key else {}
        return key | bearer_header(self.token)


class Azure(OpenAICompatibleProvider):
    """One Azure OpenAI resource."""

    Settings: ClassVar[type[ProviderSettings]] = AzureSettings
    parameters = PARAMETERS
    packs_vectors = True
    message_names = OPENAI_NAMES

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        assert isinstance(settings, AzureSettings)
        super().__init__(name, settings)
        self._secrets += [settings.token.get_secret_value()] if settings.token else []
        self._version = settings.api_version
        self._model_of = settings.model_of
        self._base = self._base.removesuffix("/v1").removesuffix("/openai")

    def path(self, call: ProviderCall) -> str:
        """Put the deployment into the path; v1 has it only in the body."""
        if not self._version:
            return f"/openai/v1{PATHS[call.operation]}"
        deployment = quote(call.model, safe="")
        return f"/openai/deployments/{deployment}{PATHS[call.operation]}?api-version={self._version}"

    def parameter_model(self, call: ProviderCall) -> str:
        """Apply the parameter rules of the deployment's model."""
        return self._model_of(call.model)

    def stream_parameters(self) -> JsonObject:
        """Leave out the usage for versions that cannot count a stream."""
        if self._version and self._version < STREAM_USAGE_SINCE:
            return {"stream": True}
        return super().stream_parameters()

    def stream_decoder(self, call: ProviderCall) -> ChunkStreamDecoder:  # noqa: ARG002 - all its streams have one format
        """Decode Azure's own first chunk, too."""
        return AzureStreamDecoder()

    def to_error(self, response: Response) -> ProviderError:
        """Add the content filter's findings to its message."""
        error = super().to_error(response)
        if error.error_type == "content_filter" and (found := filter_findings(response.content)):
            error.message = f"{error.message} ({found})"
            error.args = (error.message,)
        return error


class AzureStreamDecoder(ChunkStreamDecoder):
    """Decoder of Azure's streams.

    They begin with the filter's results for the prompt in a chunk without choices, which many clients cannot read.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held: JsonObject = {}

    def read_chunk(self, chunk: JsonObject) -> JsonObject | None:
        """Hold back the first chunk, and send its content with the first chunk that has a choice."""
        if "prompt_filter_results" in chunk and not chunk.get("choices") and not chunk.get("usage"):
            self._held = {"prompt_filter_results": chunk["prompt_filter_results"]}
            return None
        held, self._held = self._held, {}
        read = super().read_chunk(chunk)
        return {**held, **read} if read is not None else None


def filter_findings(content: bytes) -> str:
    """Return the filtered categories with their severity; empty if there are none."""
    try:
        inner = orjson.loads(content)["error"]["innererror"]["content_filter_result"]
        found = {name: result for name, result in inner.items() if result.get("filtered")}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return ""
    return ", ".join(f"{name}: {result.get('severity', 'detected')}" for name, result in found.items())
