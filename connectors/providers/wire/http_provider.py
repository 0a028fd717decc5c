"""What all providers on HTTP share: one call out, one answer or one error back, whole or as a stream.

A provider is a subclass in one file: its facts on top, then ``write`` (OpenAI's request into the provider's), ``read``
(the provider's answer into OpenAI's) and ``decoder`` (the same for a stream). Those three are pure.
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
from schemas.json_types import JsonObject

OK = 200
MARGIN_S = 0.05
"""Of a stream's time, kept back to say what had come of it."""


@frozen_slots
class ProviderRequest:
    """A request in the provider's own words."""

    path: str
    """Behind the base URL, with its query."""
    body: JsonObject
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside those that every call has."""
    changes: Sequence[Change] = ()


@frozen_slots
class _SerializedRequest:
    """The same as it goes over the wire."""

    url: httpx.URL
    body: bytes
    headers: Mapping[str, str]
    changes: tuple[Change, ...]

    @property
    def sent(self) -> bytes:
        """What is kept of the body: all of it, unless it is what was asked."""
        return self.body if self.changes else b""


class StreamDecoder(Protocol):
    """Reads one stream of a provider into OpenAI's chunks."""

    finish_reasons: list[str]
    """The provider's own words, as they come."""
    usage: Usage
    native_usage: JsonObject | None

    def feed(self, data: bytes) -> Iterable[JsonObject]:
        """The chunks that are complete now. Those before an error come before it, if they are handed out one by one.

        Raises:
            ProviderError: the provider says in the stream that it failed, or the bytes are none of its own.

        """
        ...

    def finish(self) -> Iterable[JsonObject]:
        """The chunks that the end of the stream completes.

        Raises:
            ProviderError: server, if the stream broke off before its end.

        """
        ...


class HttpProvider:
    """Makes the calls. Subclasses translate."""

    Settings: ClassVar[type[ProviderSettings]] = ProviderSettings

    def __init__(
        self, name: str, settings: ProviderSettings, headers: Mapping[str, str], *secrets: SecretStr | None
    ) -> None:
        assert settings.base_url, "every kind has a default"
        self.name = name
        self._base = settings.base_url.rstrip("/")
        self._secrets = [secret.get_secret_value() for secret in secrets if secret and secret.get_secret_value()]
        self._client = HttpClient(headers, settings.max_in_flight)

    # --- what a dialect says

    def to_request(self, call: ProviderCall) -> ProviderRequest:
        """Translate the request.

        Raises:
            ProviderError: invalid_request, naming the parameter that can't be had here.

        """
        raise NotImplementedError

    def from_response(self, call: ProviderCall, body: Any, response: Response) -> ProviderAnswer:  # noqa: ANN401 - JSON of any shape
        """Translate the answer of a 200.

        Raises:
            ProviderError: server, if it holds no answer.

        """
        raise NotImplementedError

    def stream_decoder(self, call: ProviderCall) -> StreamDecoder:
        """Make the reader of one stream."""
        raise NotImplementedError

    def to_error(self, response: Response) -> ProviderError:
        """Read a response that is no 200; dialects with errors of their own shape say more."""
        return parse_error(response.status, response.headers, response.content)

    def sign(self, url: httpx.URL, body: bytes) -> Mapping[str, str]:  # noqa: ARG002 - for those who sign
        """Headers that depend on the very bytes sent; none for most."""
        return {}

    # --- what is the same for all

    async def complete(self, call: ProviderCall) -> ProviderAnswer:
        """Make the call once.

        Raises:
            ProviderError: it did not answer, or not with what was asked for.

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
            raise self._with_request(_to_provider_error(error), sending) from error
        except ProviderError as error:
            raise self._with_request(error, sending) from None

    async def stream(self, call: ProviderCall) -> AsyncIterator[JsonObject | ProviderAnswer]:
        """Make the call once and hand on OpenAI's chunks as they come; the last item is the whole answer.

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
                    refused = await response.read()
                    raise self._read_error(dataclasses.replace(refused, content=self._scrubber.scrub(refused.content)))
                async for data in response.chunks(until_s):
                    for chunk in decoder.feed(self._scrubber.scrub(data)):
                        assembly.add(chunk)
                        yield chunk
                for chunk in decoder.finish():
                    assembly.add(chunk)
                    yield chunk
                yield _with_request_record(_assembled_answer(assembly, decoder), sending, response)
        except NoResponseError as error:
            raise self._with_request(_with_partial(_to_provider_error(error), assembly, decoder), sending) from error
        except ProviderError as error:
            raise self._with_request(_with_partial(error, assembly, decoder), sending) from None

    async def close(self) -> None:
        """Give back the connections."""
        await self._client.close()

    def _serialize(self, call: ProviderCall) -> _SerializedRequest:
        outgoing = self.to_request(call)
        url, body = httpx.URL(self._base + outgoing.path), orjson.dumps(outgoing.body)
        return _SerializedRequest(url, body, {**outgoing.headers, **self.sign(url, body)}, tuple(outgoing.changes))

    def _read_error(self, response: Response) -> ProviderError:
        error = self.to_error(response)
        error.rates = rate_state(response.headers)
        return error

    def _with_request(self, error: ProviderError, sending: _SerializedRequest | None) -> ProviderError:
        """Say what had gone out, if anything had; and no secrets, for some servers repeat the key that they refuse."""
        if sending is not None:
            error.sent, error.changes = sending.sent, sending.changes
        error.message = self._scrubber.scrub_message(error.message)
        error.args = (error.message,)
        return error

    @functools.cached_property
    def _scrubber(self) -> SecretScrubber:
        return SecretScrubber(self._secrets)


def _parse_body(response: Response) -> Any:  # noqa: ANN401 - JSON of any shape
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        raise ProviderError("server", "HTTP 200, but the body is not JSON", http_status=OK) from None


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
    """Keep what had come: it is paid for."""
    error.partial, error.usage = assembly.body, decoder.usage
    return error


def _with_request_record(
    answer: ProviderAnswer, sending: _SerializedRequest, response: Response | StreamedResponse
) -> ProviderAnswer:
    rates = rate_state(response.headers)
    return dataclasses.replace(answer, sent=sending.sent, changes=sending.changes, rates=rates)


def _to_provider_error(error: NoResponseError) -> ProviderError:
    return ProviderError(error.error_type, str(error), http_status=error.http_status)
