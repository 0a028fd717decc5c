"""OpenAI, and every server that speaks its API: vLLM, Ollama, llama.cpp and many others.

The facts, from OpenAI's own reference: POST {base_url}/chat/completions and {base_url}/embeddings, a bearer key,
optional OpenAI-Organization and OpenAI-Project headers. Its usage counts inclusively, as ours does.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import httpx
import orjson
from pydantic import AfterValidator, Field, SecretStr, model_validator

from connectors.http import Client, NoResponseError, Response
from connectors.providers.errors import refusal
from connectors.providers.provider import Answer, Call, ProviderError, ProviderSettings
from schemas.events import Operation, Usage

HOST = "https://api.openai.com/v1"

PATHS: dict[Operation, str] = {"chat": "/chat/completions", "embeddings": "/embeddings"}

CONTENTS: dict[Operation, str] = {"chat": "choices", "embeddings": "data"}
"""The list that an answer must hold."""


def _fits_a_header(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if text and not (text.isascii() and text.isprintable()):
        raise ValueError("holds a line break or another character that no HTTP header can carry")
    return secret


HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]
HeaderText = Annotated[str, Field(pattern=r"^[!-~]*$")]
HeaderSecret = Annotated[SecretStr, AfterValidator(_fits_a_header)]


class OpenAISettings(ProviderSettings):
    """How to reach an OpenAI-compatible server."""

    kind: Literal["openai"] = "openai"
    base_url: str = Field(default=HOST, pattern=r"^https?://[^\s@?#]+$")
    api_key: HeaderSecret | None = None
    organization: HeaderText = ""
    project: HeaderText = ""
    headers: dict[HeaderName, HeaderSecret] = Field(default_factory=dict)
    """Sent with every call, for a server that wants more than a key."""

    @model_validator(mode="after")
    def _openai_needs_a_key(self) -> OpenAISettings:
        if self.base_url.rstrip("/") == HOST and not (self.api_key and self.api_key.get_secret_value()):
            raise ValueError("api_key is needed for OpenAI itself; for a server of your own set base_url")
        return self


class OpenAI:
    """One OpenAI-compatible server."""

    Settings: ClassVar[type[ProviderSettings]] = OpenAISettings

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        assert isinstance(settings, OpenAISettings)
        self.name = name
        self._urls = {operation: httpx.URL(settings.base_url.rstrip("/") + path) for operation, path in PATHS.items()}
        secrets = (settings.api_key, *settings.headers.values())
        self._secrets = [secret.get_secret_value() for secret in secrets if secret and secret.get_secret_value()]
        self._client = Client(_headers(settings), settings.max_in_flight)

    async def complete(self, call: Call) -> Answer:
        """Make the call once.

        Raises:
            ProviderError: it did not answer, or not with what was asked for.

        """
        try:
            response = await self._client.post(self._urls[call.operation], to_wire(call), timeout_s=call.timeout_s)
            return from_wire(call.operation, response)
        except NoResponseError as error:
            raise ProviderError(error.error_type, str(error), http_status=error.http_status) from error
        except ProviderError as error:
            raise self._without_secrets(error) from None

    def _without_secrets(self, error: ProviderError) -> ProviderError:
        """Make sure of it: some servers repeat the key that they did not like."""
        for secret in self._secrets:
            error.message = error.message.replace(secret, "***")
        error.args = (error.message,)
        return error

    async def close(self) -> None:
        """Give back the connections."""
        await self._client.close()


def _headers(settings: OpenAISettings) -> dict[str, str]:
    headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
    if settings.api_key and settings.api_key.get_secret_value():
        headers["authorization"] = f"Bearer {settings.api_key.get_secret_value()}"
    if settings.organization:
        headers["openai-organization"] = settings.organization
    if settings.project:
        headers["openai-project"] = settings.project
    return headers


def to_wire(call: Call) -> bytes:
    """Write the request: the caller's body with the provider's name for the model, asked for in one piece."""
    body = {**call.body, "model": call.model}
    if body.pop("stream", None):
        body.pop("stream_options", None)
    return orjson.dumps(body)


def from_wire(operation: Operation, response: Response) -> Answer:
    """Read the response; the answer's body is the provider's, untouched.

    Raises:
        ProviderError: it is an error, or a 200 that holds no answer.

    """
    if response.status != 200:  # noqa: PLR2004 - HTTP's OK
        raise refusal(response.status, response.headers, response.content)
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        raise ProviderError("server", "HTTP 200, but the body is not JSON", http_status=200) from None
    if not isinstance(body, dict) or not isinstance(body.get(CONTENTS[operation]), list):
        reason = refusal(200, {}, response.content).message if isinstance(body, dict) and "error" in body else ""
        raise ProviderError(
            "server", f"HTTP 200, but the body has no {CONTENTS[operation]} {reason}".rstrip(), http_status=200
        )
    return Answer(
        body=body,
        http_status=200,
        usage=read_usage(body.get("usage")),
        response_id=_text(body.get("id")),
        response_model=_text(body.get("model")),
        finish_reasons=_finish_reasons(body) if operation == "chat" else (),
    )


def read_usage(usage: object) -> Usage:
    """Read OpenAI's usage object; what is missing or no count is zero."""
    if not isinstance(usage, dict):
        return Usage()
    return Usage(
        input_tokens=_count(usage, "prompt_tokens"),
        output_tokens=_count(usage, "completion_tokens"),
        cache_read_input_tokens=_count(usage.get("prompt_tokens_details"), "cached_tokens"),
        reasoning_output_tokens=_count(usage.get("completion_tokens_details"), "reasoning_tokens"),
    )


def _count(counts: object, name: str) -> int:
    value = counts.get(name) if isinstance(counts, dict) else None
    return value if isinstance(value, int) and value > 0 else 0


def _finish_reasons(body: dict[str, Any]) -> tuple[str, ...]:
    reasons = (choice.get("finish_reason") for choice in body["choices"] if isinstance(choice, dict))
    return tuple(reason for reason in reasons if isinstance(reason, str))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
