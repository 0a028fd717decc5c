from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar

import pytest

from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.settings import ProviderSettings
from schemas.events.catalog import AttemptStarted
from schemas.events.parts import Usage
from schemas.kafka.records import ProducerRecord
from streams.call.idempotency.claims import Unclaimed
from streams.call.plan_execution import PlanExecution, start
from streams.call.provider_call import call_provider
from tests.factories import chat, now_ms, routed

ANSWER = ProviderAnswer({"id": "1", "choices": []}, 200, Usage(), "1", "m", ("stop",))
CHUNK = {"choices": [{"index": 0, "delta": {"content": "wor"}, "finish_reason": None}]}


class Scripted:
    """Provider that runs a function in each call."""

    Settings: ClassVar[type[ProviderSettings]] = ProviderSettings

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act
        self.calls: list[ProviderCall] = []

    async def complete(self, call: ProviderCall) -> ProviderAnswer:
        self.calls.append(call)
        self.act()
        return ANSWER

    async def stream(self, call: ProviderCall) -> AsyncIterator[dict[str, Any] | ProviderAnswer]:
        yield CHUNK
        yield await self.complete(call)

    async def close(self) -> None:
        """Do nothing."""


def fail(error: Exception) -> Callable[[], object]:
    def act() -> None:
        raise error

    return act


def make_execution(written: list[ProducerRecord], **more: Any) -> PlanExecution:
    async def emit(output: ProducerRecord) -> None:
        written.append(output)

    return start(routed(**more), 3, emit, Unclaimed())


async def call(
    act: Callable[[], object] = lambda: None, timeout_s: float = 5, **more: Any
) -> ProviderAnswer | ProviderError:
    execution = make_execution([], **more)
    return await call_provider(Scripted(act), execution, started_event(execution), timeout_s, "letters")


def started_event(execution: PlanExecution) -> AttemptStarted:
    now = now_ms()
    return AttemptStarted(
        request=execution.routed.request,
        attempt=1,
        provider="sim",
        model="m",
        worker="w",
        started_at=now,
        expires_at=now + 5000,
    )


async def test_call_provider_returns_the_answer() -> None:
    assert await call() is ANSWER


async def test_call_provider_returns_a_provider_error() -> None:
    error = ProviderError("capacity", "full")

    assert await call(fail(error)) is error


async def test_crash_of_an_adapter_is_a_server_error_without_its_text() -> None:
    error = await call(fail(KeyError("secret")))

    assert isinstance(error, ProviderError)
    assert (error.error_type, error.message) == ("server", "the gateway's adapter failed (KeyError)")


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
async def test_provider_is_not_called_without_time_left(timeout_s: float) -> None:
    error = await call(fail(AssertionError("called")), timeout_s)

    assert isinstance(error, ProviderError)
    assert error.error_type == "timeout"


async def test_call_that_exceeds_its_timeout_is_a_timeout_error() -> None:
    class Hanging(Scripted):
        async def complete(self, call: ProviderCall) -> ProviderAnswer:
            await asyncio.Event().wait()
            return await super().complete(call)

    execution = make_execution([])

    error = await call_provider(Hanging(lambda: None), execution, started_event(execution), 0.01, "letters")

    assert isinstance(error, ProviderError)
    assert error.error_type == "timeout"


async def test_chunks_are_written_before_the_error_of_their_stream_is_returned() -> None:
    written: list[ProducerRecord] = []
    execution = make_execution(written, body=chat(stream=True), stream_topic="llm.replies.me")
    error = ProviderError("network", "cut")

    result = await call_provider(Scripted(fail(error)), execution, started_event(execution), 5, "letters")

    assert result is error
    assert (len(written), execution.chunks_forwarded) == (1, 1)
    assert written[0].topic == "llm.replies.me"
