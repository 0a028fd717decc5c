"""Call stages with scripted providers, and a record of what they write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, ClassVar

from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.settings import ProviderSettings
from schemas.events.catalog import AttemptStarted, RequestRouted
from schemas.events.parts import Usage
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.call.stage import CallStage
from streams.composition import call_config
from streams.config.settings import Settings
from tests.factories import read, record

SIM = {"providers": {"sim": {"kind": "simulated"}, "spare": {"kind": "simulated"}}}


class Log:
    """Records that the stage wrote before it returned."""

    def __init__(self) -> None:
        self.outputs: list[ProducerRecord] = []

    async def emit(self, output: ProducerRecord) -> None:
        self.outputs.append(output)

    @property
    def events(self) -> list[Any]:
        return read(*self.outputs)


class ScriptedProvider:
    """Provider that runs a function for each call."""

    Settings: ClassVar[type[ProviderSettings]] = ProviderSettings

    def __init__(self, act: Callable[[ProviderCall], Awaitable[ProviderAnswer]]) -> None:
        self.act = act
        self.calls: list[ProviderCall] = []
        self.closed = False

    async def complete(self, call: ProviderCall) -> ProviderAnswer:
        self.calls.append(call)
        return await self.act(call)

    async def stream(self, call: ProviderCall) -> AsyncIterator[dict[str, Any] | ProviderAnswer]:
        yield await self.complete(call)

    async def close(self) -> None:
        self.closed = True


async def answer(_: ProviderCall) -> ProviderAnswer:
    return ProviderAnswer(
        {"id": "1", "choices": []}, 200, Usage(input_tokens=10, output_tokens=5), "1", "m-2", ("stop",)
    )


async def hang(_: ProviderCall) -> ProviderAnswer:
    await asyncio.Event().wait()
    raise AssertionError


async def fail_with_500(_: ProviderCall) -> ProviderAnswer:
    raise ProviderError("server", "down", http_status=500)


def scripted_stage(act: Callable[[ProviderCall], Awaitable[ProviderAnswer]]) -> tuple[CallStage, ScriptedProvider]:
    provider = ScriptedProvider(act)
    settings = Settings.model_validate({**SIM, "prices": {"sim/echo": {"input_mtok": 1, "output_mtok": 2}}})
    return CallStage(call_config(settings), "w1", providers={"sim": provider}, draw=lambda: 0.0), provider


def stage_with_sensitive_breaker(
    act: Callable[[ProviderCall], Awaitable[ProviderAnswer]], **more: Any
) -> tuple[CallStage, ScriptedProvider]:
    """Return a stage whose first provider's circuit opens at its second failure."""
    provider = ScriptedProvider(act)
    sim = {"kind": "simulated", "breaker": {"min_calls": 2}, **more}
    settings = Settings.model_validate({"providers": {"sim": sim, "spare": {"kind": "simulated"}}})
    return CallStage(
        call_config(settings), "w1", providers={"sim": provider, "spare": ScriptedProvider(answer)}, draw=lambda: 0.0
    ), provider


async def process(
    event: RequestRouted | ConsumerRecord, stage: CallStage | None = None, log: Log | None = None
) -> Sequence[Any]:
    """Return the events that the stage returns."""
    stage = stage or CallStage(call_config(Settings.model_validate(SIM)), "w1", draw=lambda: 0.0)
    given = record(event) if isinstance(event, RequestRouted) else event
    return read(*await stage.process(given, (log or Log()).emit))


def started_by_dead_worker(event: RequestRouted, expires_at: int, attempt: int = 1) -> AttemptStarted:
    return AttemptStarted(
        request=event.request,
        attempt=attempt,
        provider="sim",
        model="echo",
        worker="dead",
        started_at=expires_at - 1000,
        expires_at=expires_at,
    )
