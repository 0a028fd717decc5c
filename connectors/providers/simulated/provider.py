"""Simulated provider without a network: generated answers, latency and failures, for tests and demos.

It is deterministic: the nth call with the same body gets the same nth answer or failure. The model's name can set the
behaviour of one call: ``echo``, ``hang``, ``fail-rate_limited``, ``echo?latency_ms=200``. Every answer is marked as
simulated (``system_fingerprint``).
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import struct
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import ClassVar, Literal, get_args
from urllib.parse import parse_qsl

import orjson
from pydantic import Field, ValidationError

from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.settings import ProviderSettings
from connectors.providers.simulated.answers import MAX_DIMENSIONS, chat_answer, embeddings_answer
from connectors.providers.wire.chunk_assembly import split_into_chunks
from schemas.events.vocabulary import ErrorType
from schemas.json_types import JsonObject
from schemas.validation_messages import describe, path_of

CUT_AFTER_CHUNKS = 3
"""Number of the last chunk that the model ``cut`` sends before it breaks off."""

COUNTED_REQUESTS = 10_000
"""Number of different requests whose calls are counted."""
_DRAWS = struct.Struct(">4I")

STATUS: dict[ErrorType, int | None] = {
    "rate_limited": 429,
    "capacity": 503,
    "quota_exhausted": 429,
    "context_length": 400,
    "request_too_large": 413,
    "answer_too_large": 200,
    "content_filter": 400,
    "invalid_request": 400,
    "auth": 401,
    "not_found": 404,
    "timeout": 504,
    "server": 500,
    "network": None,
}


class SimulatedSettings(ProviderSettings):
    """Behaviour of all calls in the configuration, and of one call in the model's name."""

    kind: Literal["simulated"] = "simulated"
    latency_ms: float = Field(default=0.0, ge=0)
    jitter_ms: float = Field(default=0.0, ge=0)
    """Random addition to the latency, uniform from 0 to this value."""
    failure_rate: float = Field(default=0.0, ge=0, le=1)
    failures: tuple[ErrorType, ...] = Field(default=("server",), min_length=1)
    """Error types of failed calls, chosen at random."""
    rate_limit_rps: float | None = Field(default=None, gt=0)
    """Calls per second and worker; a further call is rate_limited, with a retry delay."""
    hang_rate: float = Field(default=0.0, ge=0, le=1)
    """Share of calls that never end by themselves."""
    reply_tokens: int = Field(default=32, ge=1, le=100_000)
    chunk_ms: float = Field(default=0.0, ge=0)
    """Delay between two words of a stream."""
    dimensions: int = Field(default=8, ge=1, le=MAX_DIMENSIONS)
    """Size of an embedding, unless the request sets it."""


class Simulated:
    """Simulated provider."""

    Settings: ClassVar[type[ProviderSettings]] = SimulatedSettings

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        assert isinstance(settings, SimulatedSettings)
        self.name = name
        self._settings = settings
        self._counts: OrderedDict[bytes, int] = OrderedDict()
        self._next_slot_s = 0.0

    async def complete(self, call: ProviderCall) -> ProviderAnswer:
        """Return the answer or raise the failure after the configured latency.

        Raises:
            ProviderError: as configured.

        """
        behaviour, settings = self._behaviour(call.model)
        self._check_rate_limit(settings)
        content = hashlib.blake2b(orjson.dumps(call.body), digest_size=12).digest()
        jitter, stall, fail, which = _draw(content, self._count_call(content))
        await _wait(
            settings.latency_ms + jitter * settings.jitter_ms, hang=behaviour == "hang" or stall < settings.hang_rate
        )
        drawn = settings.failures[int(which * len(settings.failures))] if fail < settings.failure_rate else ""
        failure = behaviour.removeprefix("fail-") if behaviour.startswith("fail-") else drawn
        if failure:
            raise _make_error(failure, self.name)
        if call.operation == "embeddings":
            return embeddings_answer(call.body, call.model, settings.dimensions)
        return chat_answer(call.body, call.model, content.hex(), settings.reply_tokens, echo=behaviour == "echo")

    async def stream(self, call: ProviderCall) -> AsyncIterator[JsonObject | ProviderAnswer]:
        """Yield the answer word by word; a model named ``cut`` breaks off in the middle.

        Raises:
            ProviderError: as configured.

        """
        behaviour, settings = self._behaviour(call.model)
        answer = await self.complete(call)
        for number, chunk in enumerate(split_into_chunks(answer.body)):
            if behaviour == "cut" and number > CUT_AFTER_CHUNKS:
                raise ProviderError("server", f"{self.name} (simulated): the stream breaks off", http_status=200)
            if settings.chunk_ms and number:
                await asyncio.sleep(settings.chunk_ms / 1000)
            yield chunk
        yield answer

    async def close(self) -> None:
        """Do nothing: no connection is open."""

    def _behaviour(self, model: str) -> tuple[str, SimulatedSettings]:
        name, _, query = model.partition("?")
        return name, _override(self._settings, query) if query else self._settings

    def _count_call(self, content: bytes) -> int:
        """Count the calls with this body, so that a retry gets other random numbers."""
        nth = self._counts.pop(content, 0)
        self._counts[content] = nth + 1
        if len(self._counts) > COUNTED_REQUESTS:
            self._counts.popitem(last=False)
        return nth

    def _check_rate_limit(self, settings: SimulatedSettings) -> None:
        """Apply the rate limit, with a burst of one second (GCRA)."""
        if settings.rate_limit_rps is None:
            return
        now = time.monotonic()
        interval = 1 / settings.rate_limit_rps
        burst = max(1.0, interval)
        due = max(self._next_slot_s, now)
        if due + interval - now > burst + 1e-9:
            raise ProviderError(
                "rate_limited",
                f"{self.name} (simulated): more than {settings.rate_limit_rps:g} calls per second",
                http_status=429,
                retry_after_s=due + interval - now - burst,
            )
        self._next_slot_s = due + interval


@functools.lru_cache(maxsize=256)
def _parse_query(settings: str, query: str) -> SimulatedSettings:
    changes: dict[str, object] = dict(parse_qsl(query))
    if "failures" in changes:
        changes["failures"] = str(changes["failures"]).split(",")
    return SimulatedSettings.model_validate({**orjson.loads(settings), **changes})


def _override(settings: SimulatedSettings, query: str) -> SimulatedSettings:
    try:
        return _parse_query(settings.model_dump_json(exclude={"api_key", "api_keys"}), query)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        message = f"simulated model: {path_of(fault)} {describe(fault)}"
        raise ProviderError("invalid_request", message, http_status=400) from None


def _draw(content: bytes, nth: int) -> list[float]:
    """Return four pseudo-random numbers in [0, 1), always the same for the same call.

    A generator with a seed takes ten times as long.
    """
    drawn = hashlib.blake2b(content + nth.to_bytes(4, "big"), digest_size=_DRAWS.size).digest()
    return [number / 2**32 for number in _DRAWS.unpack(drawn)]


async def _wait(delay_ms: float, *, hang: bool) -> None:
    if hang:
        await asyncio.Event().wait()
    if delay_ms:
        await asyncio.sleep(delay_ms / 1000)


def _make_error(name: str, provider: str) -> ProviderError:
    kind = next((known for known in get_args(ErrorType) if known == name), None)
    if kind is None:
        return ProviderError("not_found", f"{provider} (simulated): unknown failure {name}", http_status=404)
    message = f"{provider} (simulated): {kind}, as requested"
    hint_s = 1.0 if kind == "rate_limited" else None  # as most providers send one
    return ProviderError(kind, message, http_status=STATUS[kind], retry_after_s=hint_s)
