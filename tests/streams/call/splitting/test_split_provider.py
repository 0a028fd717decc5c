from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any, ClassVar

import orjson
import pytest

from connectors.providers.call_limits import Limits
from connectors.providers.provider import Provider, ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.settings import ProviderSettings
from connectors.providers.simulated.answers import embeddings_answer
from connectors.providers.simulated.provider import Simulated, SimulatedSettings
from schemas.events.catalog import AttemptFinished, RequestRouted
from schemas.events.parts import Usage
from schemas.events.vocabulary import OnOversize
from schemas.openai.embedding_vectors import pack_vectors
from streams.call.splitting.split_provider import MAX_PARALLEL, SplittingProvider
from streams.call.stage import CallStage
from streams.composition import call_config, route_config
from streams.config.settings import Settings
from streams.route.planning import plan
from tests.eventually import eventually
from tests.factories import admitted, read, record, routed


class RecordingProvider:
    """Simulated provider that records its calls and runs a function in each."""

    Settings: ClassVar[type[ProviderSettings]] = SimulatedSettings

    def __init__(self, act: Callable[[ProviderCall], Awaitable[None]] | None = None) -> None:
        self.simulated = Simulated("sim", SimulatedSettings())
        self.act = act
        self.calls: list[ProviderCall] = []
        self.concurrent = self.max_concurrent = 0

    async def complete(self, call: ProviderCall) -> ProviderAnswer:
        self.calls.append(call)
        self.concurrent += 1
        self.max_concurrent = max(self.max_concurrent, self.concurrent)
        try:
            await asyncio.sleep(0)
            if self.act is not None:
                await self.act(call)
            return await self.simulated.complete(call)
        finally:
            self.concurrent -= 1

    def stream(self, call: ProviderCall) -> AsyncIterator[dict[str, Any] | ProviderAnswer]:
        self.calls.append(call)
        return self._items()

    async def _items(self) -> AsyncIterator[dict[str, Any] | ProviderAnswer]:
        yield ProviderAnswer({}, 200, Usage())

    async def close(self) -> None:
        await self.simulated.close()

    @property
    def inputs(self) -> list[list[str]]:
        return [call.body["input"] for call in self.calls]


def make_body(inputs: object, **more: Any) -> dict[str, Any]:
    return {"model": "demo", "input": inputs, **more}


def make_call(inputs: object, timeout_s: float = 10.0, **more: Any) -> ProviderCall:
    return ProviderCall("r-1", "embeddings", "m", make_body(inputs), timeout_s, **more)


def splitting(provider: Provider, limits: Limits, permits: asyncio.Semaphore | None = None) -> SplittingProvider:
    permits_ = permits or asyncio.Semaphore(100)
    return SplittingProvider("sim", provider, SimulatedSettings(limits={"*": limits}), lambda: permits_)


def make_stage(provider: Provider, limits: dict[str, Any], **more: Any) -> CallStage:
    settings = {"providers": {"sim": {"kind": "simulated", "limits": limits, **more}}}
    prices = {"prices": {"sim/m": {"input_mtok": 1}}}
    return CallStage(call_config(Settings.model_validate({**settings, **prices})), "w1", providers={"sim": provider})


def make_routed(inputs: object, *, on_oversize: OnOversize = "split", **more: Any) -> RequestRouted:
    event = routed("sim/m", body=orjson.dumps(make_body(inputs)).decode(), operation="embeddings", **more)
    return dataclasses.replace(event, plan=dataclasses.replace(event.plan, on_oversize=on_oversize))


async def process(stage: CallStage, event: RequestRouted) -> tuple[AttemptFinished, Any]:
    async def emit(_: object) -> None:
        pass

    finished, settled = read(*await stage.process(record(event), emit))
    return finished, settled


def texts(count: int) -> list[str]:
    return [f"text {index}" for index in range(count)]


async def test_oversize_request_is_answered_like_a_single_call() -> None:
    provider = RecordingProvider()
    event = make_routed(texts(40))

    finished, settled = await process(make_stage(provider, {"inputs": 16}), event)

    assert sorted(map(len, provider.inputs)) == [8, 16, 16]
    whole = embeddings_answer(make_body(texts(40)), "m", 8)
    assert (settled.outcome, orjson.loads(settled.output)) == ("answered", pack_vectors(whole.body))
    assert (settled.usage, settled.attempts) == (whole.usage, 1)
    assert Decimal(finished.cost_usd or "") == Decimal(whole.usage.input_tokens) / 1_000_000
    (change,) = finished.changes
    assert (change.param, change.action, change.detail) == (
        "input",
        "transformed",
        "split into 3 calls of 16, 16, 8 inputs",
    )


async def test_request_within_the_limits_is_one_unchanged_call() -> None:
    provider = RecordingProvider()
    event = make_routed("one text")

    finished, _ = await process(make_stage(provider, {"inputs": 1, "body_bytes": 1000}), event)

    assert [call.body for call in provider.calls] == [make_body("one text")]
    assert finished.changes == ()


async def test_on_oversize_reject_fails_without_a_call() -> None:
    provider = RecordingProvider()

    _, settled = await process(make_stage(provider, {"inputs": 16}), make_routed(texts(17), on_oversize="reject"))

    failure = settled.failure
    assert (settled.outcome, failure.status, failure.code) == ("failed", 400, "request_too_large")
    assert failure.param == "input"
    assert failure.message == "the request has 17 inputs, and sim/m takes at most 16 (limit inputs)"
    assert not provider.calls


async def test_body_over_the_limit_fails_with_413_without_a_call() -> None:
    provider = RecordingProvider()
    stage = make_stage(provider, {"body_bytes": 50})

    _, settled = await process(stage, routed("sim/echo"))

    assert (settled.failure.status, settled.failure.code) == (413, "request_too_large")
    assert "limit body_bytes" in settled.failure.message
    assert not provider.calls


async def test_input_over_the_limit_falls_back_to_the_next_target() -> None:
    small, large = RecordingProvider(), RecordingProvider()
    providers = {"sim": {"kind": "simulated", "limits": {"input_chars": 3}}, "spare": {"kind": "simulated"}}
    settings = Settings.model_validate({"providers": providers})
    stage = CallStage(call_config(settings), "w1", providers={"sim": small, "spare": large})
    event = routed("sim/m", "spare/m", body=orjson.dumps(make_body("four")).decode(), operation="embeddings")

    _, settled = await process(stage, event)

    assert (settled.outcome, settled.provider, len(small.calls)) == ("answered", "spare", 0)


async def test_parts_run_concurrently_within_max_in_flight() -> None:
    provider = RecordingProvider()
    stage = make_stage(provider, {"inputs": 1}, max_in_flight=3)

    await process(stage, make_routed(texts(20)))

    assert (len(provider.calls), provider.max_concurrent) == (20, 3)


async def test_one_request_runs_at_most_max_parallel_parts() -> None:
    provider = RecordingProvider()

    await splitting(provider, Limits(inputs=1)).complete(make_call(texts(100)))

    assert provider.max_concurrent == MAX_PARALLEL


async def test_split_requests_do_not_deadlock() -> None:
    provider = RecordingProvider()
    stage = make_stage(provider, {"inputs": 1}, max_in_flight=2)

    ends = await asyncio.gather(*(process(stage, make_routed(texts(5))) for _ in range(10)))

    assert all(settled.outcome == "answered" for _, settled in ends)
    assert provider.max_concurrent == 2


async def test_parts_run_in_sequence_without_further_permits() -> None:
    provider = RecordingProvider()
    permits = asyncio.Semaphore(0)
    before = asyncio.all_tasks()

    answer = await splitting(provider, Limits(inputs=2), permits).complete(make_call(texts(5)))

    assert provider.inputs == [texts(5)[:2], texts(5)[2:4], texts(5)[4:]]
    assert len(answer.body["data"]) == 5
    assert asyncio.all_tasks() == before
    permits.release()
    assert not permits.locked()


async def test_failed_part_stops_the_others_and_reports_the_billed_parts() -> None:
    async def fail_second(call: ProviderCall) -> None:
        if "text 2" in call.body["input"]:
            raise ProviderError("content_filter", "not this one", http_status=400)

    provider = RecordingProvider(fail_second)

    finished, settled = await process(make_stage(provider, {"inputs": 2}, max_in_flight=1), make_routed(texts(8)))

    assert len(provider.calls) == 2
    assert (finished.error_type, finished.http_status) == ("content_filter", 400)
    assert finished.error_message == "part 2 of 4 (inputs 2 to 3): not this one (answered, and billed: 1)"
    billed = embeddings_answer(make_body(texts(2)), "m", 8).usage
    assert finished.usage == billed
    assert Decimal(finished.cost_usd or "") == Decimal(billed.input_tokens) / 1_000_000
    assert (settled.outcome, settled.failure.code) == ("failed", "content_filter")


async def test_parts_in_flight_are_awaited_after_a_failure() -> None:
    release_calls = asyncio.Event()

    async def fail_first(call: ProviderCall) -> None:
        if "text 0" in call.body["input"]:
            raise ProviderError("server", "broken", http_status=500)
        await release_calls.wait()

    provider = RecordingProvider(fail_first)
    task = asyncio.create_task(splitting(provider, Limits(inputs=1)).complete(make_call(texts(4))))
    await eventually(lambda: provider.concurrent == 3)

    release_calls.set()
    with pytest.raises(ProviderError) as caught:
        await task

    assert (
        caught.value.message == str(caught.value) == ("part 1 of 4 (inputs 0 to 0): broken (answered, and billed: 2-4)")
    )
    assert caught.value.usage.input_tokens == 6


async def test_timed_out_part_is_named_with_the_billed_parts() -> None:
    async def hang(call: ProviderCall) -> None:
        if "text 2" in call.body["input"]:
            await asyncio.Event().wait()

    stage = make_stage(RecordingProvider(hang), {"inputs": 1})

    finished, settled = await process(stage, make_routed(texts(3), timeout_ms=200, max_attempts=1))

    assert (finished.error_type, settled.failure.code) == ("timeout", "timeout")
    assert finished.error_message.startswith("part 3 of 3 (inputs 2 to 2): no answer within")
    assert finished.error_message.endswith("(answered, and billed: 1-2)")


async def test_crash_of_an_adapter_is_raised_unchanged() -> None:
    async def broken(_: ProviderCall) -> None:
        raise KeyError("input")

    with pytest.raises(KeyError):
        await splitting(RecordingProvider(broken), Limits(inputs=1)).complete(make_call(texts(3)))


async def test_refusal_by_an_adapter_names_no_part() -> None:
    async def refuse(_: ProviderCall) -> None:
        raise ProviderError("invalid_request", "dimensions is not supported", param="dimensions")

    with pytest.raises(ProviderError) as caught:
        await splitting(RecordingProvider(refuse), Limits(inputs=3), asyncio.Semaphore(0)).complete(make_call(texts(4)))

    assert caught.value.message == "dimensions is not supported"


async def test_cancelled_request_stops_its_parts_and_releases_permits() -> None:
    async def hang(_: ProviderCall) -> None:
        await asyncio.Event().wait()

    provider, permits = RecordingProvider(hang), asyncio.Semaphore(2)
    before = asyncio.all_tasks()
    task = asyncio.create_task(splitting(provider, Limits(inputs=1), permits).complete(make_call(texts(6))))
    await eventually(lambda: provider.concurrent == 3)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert asyncio.all_tasks() == before
    assert provider.concurrent == 0
    async with permits, permits:
        pass


async def test_stream_checks_only_the_size_of_the_body() -> None:
    provider = RecordingProvider()
    call = ProviderCall("r-1", "chat", "m", {"messages": [{"role": "user", "content": "x" * 100}]}, 10.0, stream=True)

    with pytest.raises(ProviderError, match="limit body_bytes"):
        splitting(provider, Limits(body_bytes=100)).stream(call)
    items = [item async for item in splitting(provider, Limits(body_bytes=1000)).stream(call)]

    assert (len(items), len(provider.calls)) == (1, 1)


def test_plan_has_on_oversize_of_the_model() -> None:
    model = {"targets": ["sim/m"], "on_oversize": "reject"}
    settings = Settings.model_validate({"providers": {"sim": {"kind": "simulated"}}, "models": {"demo": model}})

    planned = plan(admitted("demo"), route_config(settings))

    assert planned.on_oversize == "reject"  # type: ignore[union-attr]
