"""Amazon Bedrock: chat by Converse and ConverseStream, embeddings by InvokeModel.

POST https://bedrock-runtime.{region}.amazonaws.com/model/{id}/{action}, the id percent-encoded, signed with
SigV4 for the service ``bedrock`` or with a Bedrock API key as bearer. Source: Amazon Bedrock API Reference, "Converse";
Amazon Bedrock User Guide, "Use an Amazon Bedrock API key".
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Self
from urllib.parse import quote

import httpx
from pydantic import Field, SecretStr, model_validator

from connectors.http_client import Response
from connectors.providers.bedrock import errors as bedrock_errors
from connectors.providers.bedrock.embeddings import read_embeddings, write_embeddings
from connectors.providers.bedrock.request import write_chat
from connectors.providers.bedrock.response import USAGE_DETAILS, read_choice, read_usage
from connectors.providers.bedrock.sigv4 import Credentials, RequestToSign, sign
from connectors.providers.bedrock.stream import ConverseStreamDecoder
from connectors.providers.bedrock.tools import answers_by_tool
from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.settings import BASE_URL, HeaderSecret, ProviderSettings
from connectors.providers.wire.http_provider import HttpProvider, ProviderRequest, StreamDecoder
from connectors.providers.wire.usage import openai_usage

SERVICE = "bedrock"
"""Name of the service in signatures; the host's name is bedrock-runtime."""

REQUEST_ID = "x-amzn-requestid"

EVENT_STREAM = "application/vnd.amazon.eventstream"


class BedrockSettings(ProviderSettings):
    """Settings of Bedrock in one region."""

    kind: Literal["bedrock"] = "bedrock"
    base_url: str | None = Field(default=None, pattern=BASE_URL)
    region: str = Field(default="", pattern=r"^([a-z]{2,}(-[a-z]+)+-[0-9]+)?$")
    """For example eu-central-1. No default, because it decides in which country the data is processed."""
    api_key: HeaderSecret | None = None
    """A Bedrock API key, as an alternative to an access key."""
    access_key_id: str = Field(default="", pattern=r"^[ -~]*$")
    secret_access_key: SecretStr | None = None
    session_token: HeaderSecret | None = None
    """Session token of temporary credentials."""
    input_type: Literal["search_document", "search_query", "classification", "clustering"] = "search_document"
    """Purpose of embeddings, for requests without ``input_type``; Cohere's models require it."""

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        if bool(self.access_key_id) != bool(_secret(self.secret_access_key)):
            raise ValueError("access_key_id and secret_access_key must be set together")
        if bool(_secret(self.api_key)) and bool(self.access_key_id):
            raise ValueError("api_key and access_key_id are mutually exclusive")
        if not self.base_url and not _secret(self.api_key) and not self.access_key_id:
            raise ValueError("api_key is required, or access_key_id with secret_access_key")
        if not self.region and (self.access_key_id or not self.base_url):
            raise ValueError("region is required, for example eu-central-1")
        return self

    @property
    def host(self) -> str:
        """Base URL of the region, unless ``base_url`` is set."""
        suffix = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return self.base_url or f"https://bedrock-runtime.{self.region}.{suffix}"


class Bedrock(HttpProvider):
    """Bedrock in one region with one key."""

    Settings: ClassVar[type[ProviderSettings]] = BedrockSettings

    def __init__(self, name: str, settings: ProviderSettings, *, clock: Callable[[], float] = time.time) -> None:
        assert isinstance(settings, BedrockSettings)
        secrets = (settings.api_key, settings.secret_access_key, settings.session_token)
        key = _secret(settings.api_key)
        headers = {"authorization": f"Bearer {key}"} if key else {}
        super().__init__(name, settings.model_copy(update={"base_url": settings.host}), headers, *secrets)
        self._settings = settings
        self._clock = clock

    def to_request(self, call: ProviderCall) -> ProviderRequest:
        """See ``HttpProvider``."""
        model = quote(call.model, safe="")
        if call.operation == "embeddings":
            body, changes = write_embeddings(call, self._settings.input_type)
            return ProviderRequest(f"/model/{model}/invoke", body, changes=changes)
        body, changes = write_chat(call)
        if call.stream:
            return ProviderRequest(f"/model/{model}/converse-stream", body, {"accept": EVENT_STREAM}, changes)
        return ProviderRequest(f"/model/{model}/converse", body, changes=changes)

    def from_response(self, call: ProviderCall, body: Any, response: Response) -> ProviderAnswer:  # noqa: ANN401 - JSON of any shape
        """See ``HttpProvider``."""
        if call.operation == "embeddings":
            return read_embeddings(call, body, response.headers)
        choice = read_choice(body, call.model, by_tool=answers_by_tool(call))
        usage, response_id = read_usage(body.get("usage")), response.headers.get(REQUEST_ID, "")
        completion = {
            "id": response_id or call.request_id,
            "object": "chat.completion",
            "created": int(self._clock()),
            "model": call.model,
            "choices": [choice],
            "usage": openai_usage(usage, *USAGE_DETAILS),
        }
        return ProviderAnswer(
            body=completion,
            http_status=200,
            usage=usage,
            response_id=response_id,
            response_model=call.model,
            finish_reasons=(choice["native_finish_reason"],),
            native_usage=body["usage"] if isinstance(body.get("usage"), dict) else None,
        )

    def stream_decoder(self, call: ProviderCall) -> StreamDecoder:
        """See ``HttpProvider``. A stream has no id, so it gets the request's."""
        return ConverseStreamDecoder(call.request_id, call.model, int(self._clock()), by_tool=answers_by_tool(call))

    def to_error(self, response: Response) -> ProviderError:
        """See ``HttpProvider``."""
        return bedrock_errors.read_error(response.status, response.headers, response.content)

    def sign(self, url: httpx.URL, body: bytes) -> Mapping[str, str]:
        """Sign the request if an access key is set."""
        settings = self._settings
        if not settings.access_key_id:
            return {}
        credentials = Credentials(
            settings.access_key_id, _secret(settings.secret_access_key), _secret(settings.session_token)
        )
        path, _, query = url.raw_path.decode().partition("?")
        request = RequestToSign("POST", path, query, {"host": url.netloc.decode()}, body)
        now = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
        return sign(request, credentials, settings.region, SERVICE, now)


def _secret(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
