"""Hugging Face: its router to many providers, and its self-hosted servers TGI (text) and TEI (embeddings).

Source: Inference Providers documentation, "Chat Completion"; Text Generation Inference, "Messages API"; Text Embeddings
Inference, "Quick tour". A model of the router is org/name, optionally followed by :provider, :fastest, :cheapest or
:preferred.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from connectors.http_client import Response
from connectors.providers.huggingface import embeddings as pipeline
from connectors.providers.huggingface.parameters import ROUTER, TEI, TGI
from connectors.providers.openai_compatible.messages import SERVER_NAMES
from connectors.providers.openai_compatible.provider import PATHS, OpenAICompatibleProvider, OpenAICompatibleSettings
from connectors.providers.openai_compatible.response import ChoiceReader
from connectors.providers.parameters import ParameterRules, invalid_parameter
from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.settings import BASE_URL, HeaderText, ProviderSettings
from connectors.providers.wire.http_provider import ProviderRequest
from schemas.events.parts import Change
from schemas.events.vocabulary import Operation

HOST = "https://router.huggingface.co/v1"

PARAMETERS = ROUTER
SERVERS: Mapping[str, Mapping[Operation, ParameterRules]] = {"router": ROUTER, "tgi": TGI, "tei": TEI}

TOO_LONG = re.compile(r"must have less than \d+ tokens|must be <= \d+")
"""Text of TGI and TEI for an input above the model's limit; they send no code."""

RESET_S = re.compile(r";\s*r=0\s*;\s*t=(\d+)")
"""Seconds until an exhausted limit is restored, in the ratelimit header of the IETF draft, as the Hub sends it."""


class HuggingFaceSettings(OpenAICompatibleSettings):
    """Settings of the router, or of a self-hosted server."""

    kind: Literal["huggingface"] = "huggingface"
    base_url: str = Field(default=HOST, pattern=BASE_URL)
    server: Literal["router", "tgi", "tei"] = "router"
    """Type of the server at base_url."""
    bill_to: HeaderText = ""
    """Organization that is billed instead of the key's owner."""

    @model_validator(mode="after")
    def _check_server(self) -> HuggingFaceSettings:
        routed = self.base_url.rstrip("/") == HOST
        if routed and self.server != "router":
            raise ValueError(f"base_url is required for server: {self.server}")
        if routed and not self.has_key:
            raise ValueError("api_key is required for the router")
        return self

    def price_key(self, model: str) -> tuple[str, str]:
        """Return the provider behind the router and the model.

        Each provider has its own price. If the router chooses the provider, the price is not known in advance.
        """
        name, _, provider = model.partition(":")
        return (f"huggingface_{provider}" if self.server == "router" and provider else ""), name

    def credentials(self) -> dict[str, str]:
        """Return the key, and the organization that is billed."""
        return super().credentials() | ({"x-hf-bill-to": self.bill_to} if self.bill_to else {})


class HuggingFaceChoice(ChoiceReader):
    """Reader of choices with TGI's own finish reasons."""

    finish_reasons: ClassVar[Mapping[str, str]] = {"eos_token": "stop", "stop_sequence": "stop"}


class HuggingFace(OpenAICompatibleProvider):
    """The router, or one self-hosted server."""

    Settings: ClassVar[type[ProviderSettings]] = HuggingFaceSettings
    message_names = SERVER_NAMES
    choice_reader = HuggingFaceChoice

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        assert isinstance(settings, HuggingFaceSettings)
        super().__init__(name, settings)
        self._base = self._base.removesuffix("/v1")
        self._server = settings.server
        self.parameters = SERVERS[settings.server]

    def _uses_pipeline(self, call: ProviderCall) -> bool:
        return self._server == "router" and call.operation == "embeddings"

    def path(self, call: ProviderCall) -> str:
        """Return OpenAI's path under /v1; only the router's embeddings have another one."""
        return f"/v1{PATHS[call.operation]}"

    def to_request(self, call: ProviderCall) -> ProviderRequest:
        """Translate the request; stop is always a list.

        Raises:
            ProviderError: invalid_request, naming the parameter that this server does not support.

        """
        if call.operation not in self.parameters:
            part = "messages" if call.operation == "chat" else "input"
            raise invalid_parameter(part, f"{call.operation} is not supported by a server of type {self._server}")
        if self._uses_pipeline(call):
            return self._pipeline_request(call)
        request, stop = super().to_request(call), call.body.get("stop")
        if stop is None:
            return request
        changes = [Change(param="stop", action="transformed", detail="a list of one")] if isinstance(stop, str) else []
        body = request.body | {"stop": [stop] if isinstance(stop, str) else stop}
        return ProviderRequest(request.path, body, changes=[*request.changes, *changes])

    def _pipeline_request(self, call: ProviderCall) -> ProviderRequest:
        applied = self.parameters[call.operation].apply(call.body, call.model)
        content, changes = pipeline.write_inputs(call)
        return ProviderRequest(
            pipeline.pipeline_path(call), {**content, **applied.passed}, changes=[*applied.changes, *changes]
        )

    def from_response(self, call: ProviderCall, body: Any, response: Response) -> ProviderAnswer:  # noqa: ANN401 - JSON of any shape
        """See ``OpenAICompatibleProvider``."""
        return (
            pipeline.read_vectors(call, body)
            if self._uses_pipeline(call)
            else super().from_response(call, body, response)
        )

    def to_error(self, response: Response) -> ProviderError:
        """Classify an error, also by these servers' own texts and by the ratelimit header."""
        error = super().to_error(response)
        if TOO_LONG.search(error.message) and error.http_status in {400, 413, 422}:
            error.error_type = "context_length"
        elif "not supported by any provider" in error.message:
            error.error_type = "not_found"
        if error.retry_after_s is None:
            waits = [float(seconds) for seconds in RESET_S.findall(response.headers.get("ratelimit", ""))]
            error.retry_after_s = max(waits, default=None)
        return error
