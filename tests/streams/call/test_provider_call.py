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
    """A provider that does what the test says."""

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
        """Nothing is open."""


def fail(error: Exception) -> Callable[[], object]:
    def act() -> None:
        raise error

    return act


def walking(written: list[ProducerRecord], **more: Any) -> PlanExecution:
    async def emit(output: ProducerRecord) -> None:
        written.append(output)

    return start(routed(**more), 3, emit, Unclaimed())


async def ended(
    act: Callable[[], object] = lambda: None, timeout_s: float = 5, **more: Any
) -> ProviderAnswer | ProviderError:
    walk = walking([], **more)
    return await call_provider(Scripted(act), walk, start_of(walk), timeout_s, "letters")


def start_of(walk: PlanExecution) -> AttemptStarted:
    now = now_ms()
    return AttemptStarted(
        request=walk.routed.request,
        attempt=1,
        provider="sim",
        model="m",
        worker="w",
        started_at=now,
        expires_at=now + 5000,
    )


async def test_an_answer_comes_back() -> None:
    assert await ended() is ANSWER


async def test_an_error_of_the_provider_comes_back_and_is_not_raised() -> None:
    error = ProviderError("capacity", "full")

    assert await ended(fail(error)) is error


async def test_a_fault_in_the_adapter_is_the_providers_error_and_its_text_stays_here() -> None:
    error = await ended(fail(KeyError("secret")))

    assert isinstance(error, ProviderError)
    assert (error.error_type, error.message) == ("server", "the gateway's adapter failed (KeyError)")


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
async def test_without_any_time_left_nobody_is_called(timeout_s: float) -> None:
    error = await ended(fail(AssertionError("called")), timeout_s)

    assert isinstance(error, ProviderError)
    assert error.error_type == "timeout"


async def test_who_does_not_answer_in_time_has_timed_out() -> None:
    class Hanging(Scripted):
        async def complete(self, call: ProviderCall) -> ProviderAnswer:
            await asyncio.Event().wait()
            return await super().complete(call)

    walk = walking([])

    error = await call_provider(Hanging(lambda: None), walk, start_of(walk), 0.01, "letters")

    assert isinstance(error, ProviderError)
    assert error.error_type == "timeout"


async def test_chunks_are_on_the_log_before_a_stream_that_fails_is_told_of() -> None:
    written: list[ProducerRecord] = []
    walk = walking(written, body=chat(stream=True), stream_topic="llm.replies.me")
    error = ProviderError("network", "cut")

    result = await call_provider(Scripted(fail(error)), walk, start_of(walk), 5, "letters")

    assert result is error
    assert (len(written), walk.chunks_forwarded) == (1, 1)
    assert written[0].topic == "llm.replies.me"
