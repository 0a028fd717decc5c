"""OpenAI, and every server that speaks its API: vLLM, Ollama, llama.cpp and many others.

The facts, from OpenAI's own reference: POST {base_url}/chat/completions and {base_url}/embeddings, a bearer key,
optional OpenAI-Organization and OpenAI-Project headers. Its usage counts inclusively, as ours does.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import orjson
from pydantic import AfterValidator, Field, SecretStr, model_validator

from connectors.http import Response
from connectors.providers.dialect import Decoder, HttpProvider, Outgoing
from connectors.providers.errors import refusal
from connectors.providers.provider import Answer, Call, ProviderError, ProviderSettings
from connectors.providers.sse import EventReader
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


class OpenAI(HttpProvider):
    """One OpenAI-compatible server."""

    Settings: ClassVar[type[ProviderSettings]] = OpenAISettings

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        assert isinstance(settings, OpenAISettings)
        super().__init__(name, settings, _headers(settings), settings.api_key, *settings.headers.values())

    def write(self, call: Call) -> Outgoing:
        """Write the caller's body with the provider's name for the model. Whoever streams always asks for the usage."""
        body = {**call.body, "model": call.model}
        body.pop("stream_options", None)
        body.pop("stream", None)
        if call.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return Outgoing(PATHS[call.operation], body)

    def read(self, call: Call, body: Any, response: Response) -> Answer:  # noqa: ANN401 - JSON of any shape
        """The answer's body is the provider's, untouched."""
        return from_wire(call.operation, body, response)

    def decoder(self, call: Call) -> Decoder:  # noqa: ARG002 - all its streams are alike
        """Its chunks are the ones that everybody else's are made into."""
        return ChunkReader()


class ChunkReader:
    """Reads OpenAI's own stream: ``data: {chunk}`` and at last ``data: [DONE]``."""

    def __init__(self) -> None:
        self.finish_reasons: list[str] = []
        self.usage = Usage()
        self.native_usage: dict[str, Any] | None = None
        self._events = EventReader()
        self._done = False

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """See ``Decoder``."""
        return [chunk for event in self._events.feed(data) if (chunk := self._read(event.data)) is not None]

    def finish(self) -> list[dict[str, Any]]:
        """See ``Decoder``. A stream is over with [DONE], or for servers without it when every choice has ended."""
        chunks = [chunk for event in self._events.finish() if (chunk := self._read(event.data)) is not None]
        if not (self._done or self.finish_reasons):
            raise ProviderError("server", "the stream broke off before its end", http_status=200)
        return chunks

    def _read(self, data: str) -> dict[str, Any] | None:
        if data.strip() == "[DONE]":
            self._done = True
            return None
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise ProviderError("server", "the stream holds an event that is not JSON", http_status=200) from None
        if not isinstance(chunk, dict):
            raise ProviderError("server", "the stream holds an event that is no chunk", http_status=200)
        if chunk.get("error"):
            raise stream_error(chunk)
        chunk.pop("obfuscation", None)  # padding that hides the length of a token on the wire, and nothing else
        if isinstance(chunk.get("usage"), dict):
            self.native_usage, self.usage = chunk["usage"], read_usage(chunk["usage"])
        for choice in chunk.get("choices") or ():
            if isinstance(choice, dict) and isinstance(choice.get("finish_reason"), str):
                self.finish_reasons.append(choice["finish_reason"])
        return chunk


def stream_error(chunk: dict[str, Any]) -> ProviderError:
    """Read an error that comes in a stream, after its 200."""
    status = next((code for code in (_status(chunk.get("error")), _status(chunk)) if code), 500)
    error = refusal(status, {}, orjson.dumps(chunk))
    error.http_status = 200
    return error


def _status(holder: object) -> int:
    code = holder.get("code") if isinstance(holder, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 0  # noqa: PLR2004 - HTTP's error range


def _headers(settings: OpenAISettings) -> dict[str, str]:
    headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
    if settings.api_key and settings.api_key.get_secret_value():
        headers["authorization"] = f"Bearer {settings.api_key.get_secret_value()}"
    if settings.organization:
        headers["openai-organization"] = settings.organization
    if settings.project:
        headers["openai-project"] = settings.project
    return headers


def from_wire(operation: Operation, body: Any, response: Response) -> Answer:  # noqa: ANN401 - JSON of any shape
    """Read an answer in OpenAI's shape; also for those who have taken that shape.

    Raises:
        ProviderError: the 200 holds no answer.

    """
    if not isinstance(body, dict) or not isinstance(body.get(CONTENTS[operation]), list):
        reason = refusal(200, {}, response.content).message if isinstance(body, dict) and "error" in body else ""
        raise ProviderError(
            "server", f"HTTP 200, but the body has no {CONTENTS[operation]} {reason}".rstrip(), http_status=200
        )
    usage = body.get("usage")
    return Answer(
        body=body,
        http_status=200,
        usage=read_usage(usage),
        response_id=_text(body.get("id")),
        response_model=_text(body.get("model")),
        finish_reasons=_finish_reasons(body) if operation == "chat" else (),
        native_usage=usage if isinstance(usage, dict) else None,
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
