"""Base class of providers on HTTP.

It makes the call, whole or as a stream, and maps every failure to ``ProviderError``. A provider is a subclass with four
methods: ``to_request`` (OpenAI's request into the provider's), ``from_response`` (the provider's answer into OpenAI's),
``stream_decoder`` (the same for a stream) and ``to_error``. They do no I/O.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any, ClassVar, Protocol

import httpx
import orjson
from pydantic import SecretStr

from connectors.http_client import HttpClient, NoResponseError, Response, StreamedResponse
from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.settings import ProviderSettings
from connectors.providers.wire.chunk_assembly import ChunkAssembler
from connectors.providers.wire.errors import parse_error
from connectors.providers.wire.rate_limit_headers import rate_state
from connectors.providers.wire.secret_scrubbing import SecretScrubber
from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.events.parts import Change, Usage
from schemas.events.vocabulary import ErrorType
from schemas.json_types import JsonObject

OK = 200
MARGIN_S = 0.05
"""Time before a stream's deadline at which it is ended, so that the partial answer can still be reported."""


NO_RESPONSE: dict[ErrorType, str] = {
    "network": "the connection to {} failed",
    "timeout": "{} did not answer in time",
    "server": "{} sent a response that is not valid HTTP",
}
"""Message for each type of error without a response; ``{}`` is the provider's name."""


@frozen_slots
class ProviderRequest:
    """A request in the provider's own format."""

    path: str
    """Path relative to the base URL, with its query."""
    body: JsonObject
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers added to those of every call."""
    changes: Sequence[Change] = ()


@frozen_slots
class _SerializedRequest:
    """The request as it is sent."""

    url: httpx.URL
    body: bytes
    headers: Mapping[str, str]
    changes: tuple[Change, ...]

    @property
    def sent(self) -> bytes:
        """The body for the record: empty if nothing was changed, because it is then the caller's body."""
        return self.body if self.changes else b""


class StreamDecoder(Protocol):
    """Decoder of one provider stream into OpenAI's chunks."""

    finish_reasons: list[str]
    """The provider's own finish reasons, in order."""
    usage: Usage
    native_usage: JsonObject | None

    def feed(self, data: bytes) -> Iterable[JsonObject]:
        """Return the chunks that these bytes complete. An iterator hands out the chunks before an error one by one.

        Raises:
            ProviderError: the provider reports a failure in the stream, or the bytes are not in its format.

        """
        ...

    def finish(self) -> Iterable[JsonObject]:
        """Return the chunks that the end of the stream completes.

        Raises:
            ProviderError: server, if the stream ended before its end marker.

        """
        ...


class HttpProvider:
    """HTTP call of one provider. Subclasses translate requests, answers, streams and errors."""

    Settings: ClassVar[type[ProviderSettings]] = ProviderSettings

    def __init__(
        self, name: str, settings: ProviderSettings, headers: Mapping[str, str], *secrets: SecretStr | None
    ) -> None:
        assert settings.base_url, "every kind has a default base_url"
        self.name = name
        self._base = settings.base_url.rstrip("/")
        self._secrets = [secret.get_secret_value() for secret in secrets if secret and secret.get_secret_value()]
        self._client = HttpClient(headers, settings.max_in_flight)

    # --- translation, by subclasses

    def to_request(self, call: ProviderCall) -> ProviderRequest:
        """Translate the request.

        Raises:
            ProviderError: invalid_request, naming the unsupported parameter.

        """
        raise NotImplementedError

    def from_response(self, call: ProviderCall, body: Any, response: Response) -> ProviderAnswer:  # noqa: ANN401 - JSON of any shape
        """Translate the answer of a response with status 200.

        Raises:
            ProviderError: server, if it contains no answer.

        """
        raise NotImplementedError

    def stream_decoder(self, call: ProviderCall) -> StreamDecoder:
        """Create the decoder of one stream."""
        raise NotImplementedError

    def to_error(self, response: Response) -> ProviderError:
        """Translate a response with another status than 200; providers with their own error format override it."""
        return parse_error(response.status, response.headers, response.content)

    def sign(self, url: httpx.URL, body: bytes) -> Mapping[str, str]:  # noqa: ARG002 - for those who sign
        """Headers that depend on the very bytes sent; none for most."""
        return {}

    # --- what is the same for all

    async def complete(self, call: ProviderCall) -> ProviderAnswer:
        """Make one call.

        Raises:
            ProviderError: it did not answer, or its answer is invalid.

        """
        sending = None
        try:
            sending = self._serialize(call)
            response = await self._client.post(
                sending.url, sending.body, timeout_s=call.timeout_s, headers=sending.headers
            )
            response = dataclasses.replace(response, content=self._scrubber.scrub(response.content))
            if response.status != OK:
                raise self._read_error(response)
            answer = self.from_response(call, _parse_body(response), response)
            return _with_request_record(answer, sending, response)
        except NoResponseError as error:
            raise self._with_request(self._to_provider_error(error), sending) from error
        except ProviderError as error:
            raise self._with_request(error, sending) from None

    async def stream(self, call: ProviderCall) -> AsyncIterator[JsonObject | ProviderAnswer]:
        """Make one call and yield OpenAI's chunks as they arrive; the last item is the whole answer.

        Raises:
            ProviderError: as ``complete``, also in the middle of the stream.

        """
        assembly, decoder, sending = ChunkAssembler(), self.stream_decoder(call), None
        until_s = asyncio.get_running_loop().time() + max(call.timeout_s - MARGIN_S, call.timeout_s / 2)
        try:
            sending = self._serialize(call)
            async with self._client.stream(
                sending.url, sending.body, timeout_s=call.timeout_s, headers=sending.headers
            ) as response:
                if response.status != OK:
                    whole = await response.read()
                    raise self._read_error(dataclasses.replace(whole, content=self._scrubber.scrub(whole.content)))
                async for data in response.chunks(until_s):
                    for chunk in decoder.feed(self._scrubber.scrub(data)):
                        assembly.add(chunk)
                        yield chunk
                for chunk in decoder.finish():
                    assembly.add(chunk)
                    yield chunk
                yield _with_request_record(_assembled_answer(assembly, decoder), sending, response)
        except NoResponseError as error:
            raise self._with_request(
                _with_partial(self._to_provider_error(error), assembly, decoder), sending
            ) from error
        except ProviderError as error:
            raise self._with_request(_with_partial(error, assembly, decoder), sending) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _serialize(self, call: ProviderCall) -> _SerializedRequest:
        request = self.to_request(call)
        url, body = httpx.URL(self._base + request.path), orjson.dumps(request.body)
        return _SerializedRequest(url, body, {**request.headers, **self.sign(url, body)}, tuple(request.changes))

    def _read_error(self, response: Response) -> ProviderError:
        error = self.to_error(response)
        error.rates = rate_state(response.headers)
        return error

    def _with_request(self, error: ProviderError, sending: _SerializedRequest | None) -> ProviderError:
        """Add the sent request. Remove keys from the message, because some servers repeat the key that they refuse."""
        if sending is not None:
            error.sent, error.changes = sending.sent, sending.changes
        error.message = self._scrubber.scrub_message(error.message)
        error.args = (error.message,)
        return error

    def _to_provider_error(self, error: NoResponseError) -> ProviderError:
        """Name the provider and the reason."""
        message = str(error)
        if error.http_status is None:
            message = f"{NO_RESPONSE[error.error_type].format(self.name)} ({error})"
        return ProviderError(error.error_type, message, http_status=error.http_status)

    @functools.cached_property
    def _scrubber(self) -> SecretScrubber:
        return SecretScrubber(self._secrets)


def _parse_body(response: Response) -> Any:  # noqa: ANN401 - JSON of any shape
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        raise ProviderError("server", "HTTP 200, but the body is not valid JSON", http_status=OK) from None


def _assembled_answer(assembly: ChunkAssembler, decoder: StreamDecoder) -> ProviderAnswer:
    body = assembly.body
    return ProviderAnswer(
        body=body,
        http_status=OK,
        usage=decoder.usage,
        response_id=str(body.get("id") or ""),
        response_model=str(body.get("model") or ""),
        finish_reasons=tuple(decoder.finish_reasons),
        native_usage=decoder.native_usage,
    )


def _with_partial(error: ProviderError, assembly: ChunkAssembler, decoder: StreamDecoder) -> ProviderError:
    """Add the partial answer and its usage, because they are billed."""
    error.partial, error.usage = assembly.body, decoder.usage
    return error


def _with_request_record(
    answer: ProviderAnswer, sending: _SerializedRequest, response: Response | StreamedResponse
) -> ProviderAnswer:
    rates = rate_state(response.headers)
    return dataclasses.replace(answer, sent=sending.sent, changes=sending.changes, rates=rates)
