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
from streams.app import call_config, route_config
from streams.call.splitting.split_provider import MAX_PARALLEL, SplittingProvider
from streams.call.stage import CallStage
from streams.config.settings import Settings
from streams.route.planning import plan
from tests.eventually import eventually
from tests.factories import admitted, read, record, routed


class Watched:
    """The simulated provider, with an eye on its calls and a hand in them."""

    Settings: ClassVar[type[ProviderSettings]] = SimulatedSettings

    def __init__(self, act: Callable[[ProviderCall], Awaitable[None]] | None = None) -> None:
        self.simulated = Simulated("sim", SimulatedSettings())
        self.act = act
        self.calls: list[ProviderCall] = []
        self.at_once = self.most_at_once = 0

    async def complete(self, call: ProviderCall) -> ProviderAnswer:
        self.calls.append(call)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)
            if self.act is not None:
                await self.act(call)
            return await self.simulated.complete(call)
        finally:
            self.at_once -= 1

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


def a_body(inputs: object, **more: Any) -> dict[str, Any]:
    return {"model": "demo", "input": inputs, **more}


def a_call(inputs: object, timeout_s: float = 10.0, **more: Any) -> ProviderCall:
    return ProviderCall("r-1", "embeddings", "m", a_body(inputs), timeout_s, **more)


def within(provider: Provider, limits: Limits, room: asyncio.Semaphore | None = None) -> SplittingProvider:
    place = room or asyncio.Semaphore(100)
    return SplittingProvider("sim", provider, SimulatedSettings(limits={"*": limits}), lambda: place)


def a_stage(provider: Provider, limits: dict[str, Any], **more: Any) -> CallStage:
    settings = {"providers": {"sim": {"kind": "simulated", "limits": limits, **more}}}
    prices = {"prices": {"sim/m": {"input_mtok": 1}}}
    return CallStage(call_config(Settings.model_validate({**settings, **prices})), "w1", providers={"sim": provider})


def a_request(inputs: object, *, on_oversize: OnOversize = "split", **more: Any) -> RequestRouted:
    event = routed("sim/m", body=orjson.dumps(a_body(inputs)).decode(), operation="embeddings", **more)
    return dataclasses.replace(event, plan=dataclasses.replace(event.plan, on_oversize=on_oversize))


async def ended(stage: CallStage, event: RequestRouted) -> tuple[AttemptFinished, Any]:
    async def emit(_: object) -> None:
        pass

    finished, settled = read(*await stage.process(record(event), emit))
    return finished, settled


def texts(count: int) -> list[str]:
    return [f"text {index}" for index in range(count)]


async def test_a_request_that_is_too_much_is_answered_as_if_it_were_not() -> None:
    provider = Watched()
    event = a_request(texts(40))

    finished, settled = await ended(a_stage(provider, {"inputs": 16}), event)

    assert sorted(map(len, provider.inputs)) == [8, 16, 16]
    whole = embeddings_answer(a_body(texts(40)), "m", 8)
    assert (settled.outcome, orjson.loads(settled.output)) == ("answered", pack_vectors(whole.body))
    assert (settled.usage, settled.attempts) == (whole.usage, 1)
    assert Decimal(finished.cost_usd or "") == Decimal(whole.usage.input_tokens) / 1_000_000
    (change,) = finished.changes
    assert (change.param, change.action, change.detail) == (
        "input",
        "transformed",
        "split into 3 calls of 16, 16, 8 inputs",
    )


async def test_a_request_that_fits_is_one_call_with_the_callers_own_body() -> None:
    provider = Watched()
    event = a_request("one text")

    finished, _ = await ended(a_stage(provider, {"inputs": 1, "body_bytes": 1000}), event)

    assert [call.body for call in provider.calls] == [a_body("one text")]
    assert finished.changes == ()


async def test_a_route_that_wants_no_parts_refuses_with_the_limit_and_calls_nobody() -> None:
    provider = Watched()

    _, settled = await ended(a_stage(provider, {"inputs": 16}), a_request(texts(17), on_oversize="reject"))

    failure = settled.failure
    assert (settled.outcome, failure.status, failure.code) == ("failed", 400, "request_too_large")
    assert failure.param == "input"
    assert failure.message == "the request has 17 inputs, and sim/m takes at most 16 (limit inputs)"
    assert not provider.calls


async def test_a_body_over_the_limit_is_refused_as_http_does_and_nobody_is_called() -> None:
    provider = Watched()
    stage = a_stage(provider, {"body_bytes": 50})

    _, settled = await ended(stage, routed("sim/echo"))

    assert (settled.failure.status, settled.failure.code) == (413, "request_too_large")
    assert "limit body_bytes" in settled.failure.message
    assert not provider.calls


async def test_who_takes_too_little_is_passed_over_for_who_takes_more() -> None:
    small, large = Watched(), Watched()
    providers = {"sim": {"kind": "simulated", "limits": {"input_chars": 3}}, "spare": {"kind": "simulated"}}
    settings = Settings.model_validate({"providers": providers})
    stage = CallStage(call_config(settings), "w1", providers={"sim": small, "spare": large})
    event = routed("sim/m", "spare/m", body=orjson.dumps(a_body("four")).decode(), operation="embeddings")

    _, settled = await ended(stage, event)

    assert (settled.outcome, settled.provider, len(small.calls)) == ("answered", "spare", 0)


async def test_parts_run_side_by_side_in_no_more_room_than_there_is() -> None:
    provider = Watched()
    stage = a_stage(provider, {"inputs": 1}, max_in_flight=3)

    await ended(stage, a_request(texts(20)))

    assert (len(provider.calls), provider.most_at_once) == (20, 3)


async def test_one_request_does_not_take_all_the_room() -> None:
    provider = Watched()

    await within(provider, Limits(inputs=1)).complete(a_call(texts(100)))

    assert provider.most_at_once == MAX_PARALLEL


async def test_requests_in_parts_do_not_wait_for_each_other_for_ever() -> None:
    provider = Watched()
    stage = a_stage(provider, {"inputs": 1}, max_in_flight=2)

    ends = await asyncio.gather(*(ended(stage, a_request(texts(5))) for _ in range(10)))

    assert all(settled.outcome == "answered" for _, settled in ends)
    assert provider.most_at_once == 2


async def test_without_further_room_parts_follow_each_other_and_nothing_is_left_waiting() -> None:
    provider = Watched()
    room = asyncio.Semaphore(0)
    before = asyncio.all_tasks()

    answer = await within(provider, Limits(inputs=2), room).complete(a_call(texts(5)))

    assert provider.inputs == [texts(5)[:2], texts(5)[2:4], texts(5)[4:]]
    assert len(answer.body["data"]) == 5
    assert asyncio.all_tasks() == before
    room.release()
    assert not room.locked()


async def test_when_a_part_fails_no_other_is_begun_and_the_record_says_what_was_billed() -> None:
    async def fail_second(call: ProviderCall) -> None:
        if "text 2" in call.body["input"]:
            raise ProviderError("content_filter", "not this one", http_status=400)

    provider = Watched(fail_second)

    finished, settled = await ended(a_stage(provider, {"inputs": 2}, max_in_flight=1), a_request(texts(8)))

    assert len(provider.calls) == 2
    assert (finished.error_type, finished.http_status) == ("content_filter", 400)
    assert finished.error_message == "part 2 of 4 (inputs 2 to 3): not this one (answered, and billed: 1)"
    billed = embeddings_answer(a_body(texts(2)), "m", 8).usage
    assert finished.usage == billed
    assert Decimal(finished.cost_usd or "") == Decimal(billed.input_tokens) / 1_000_000
    assert (settled.outcome, settled.failure.code) == ("failed", "content_filter")


async def test_parts_under_way_when_another_fails_are_waited_for() -> None:
    gate = asyncio.Event()

    async def fail_first(call: ProviderCall) -> None:
        if "text 0" in call.body["input"]:
            raise ProviderError("server", "broken", http_status=500)
        await gate.wait()

    provider = Watched(fail_first)
    task = asyncio.create_task(within(provider, Limits(inputs=1)).complete(a_call(texts(4))))
    await eventually(lambda: provider.at_once == 3)

    gate.set()
    with pytest.raises(ProviderError) as caught:
        await task

    assert (
        caught.value.message == str(caught.value) == ("part 1 of 4 (inputs 0 to 0): broken (answered, and billed: 2-4)")
    )
    assert caught.value.usage.input_tokens == 6


async def test_a_part_that_takes_too_long_is_named_and_the_others_are_counted() -> None:
    async def hang(call: ProviderCall) -> None:
        if "text 2" in call.body["input"]:
            await asyncio.Event().wait()

    stage = a_stage(Watched(hang), {"inputs": 1})

    finished, settled = await ended(stage, a_request(texts(3), timeout_ms=200, max_attempts=1))

    assert (finished.error_type, settled.failure.code) == ("timeout", "timeout")
    assert finished.error_message.startswith("part 3 of 3 (inputs 2 to 2): no answer within")
    assert finished.error_message.endswith("(answered, and billed: 1-2)")


async def test_a_fault_in_an_adapter_comes_out_as_it_is() -> None:
    async def broken(_: ProviderCall) -> None:
        raise KeyError("input")

    with pytest.raises(KeyError):
        await within(Watched(broken), Limits(inputs=1)).complete(a_call(texts(3)))


async def test_what_an_adapter_refuses_is_the_requests_fault_and_not_a_parts() -> None:
    async def refuse(_: ProviderCall) -> None:
        raise ProviderError("invalid_request", "dimensions is not supported", param="dimensions")

    with pytest.raises(ProviderError) as caught:
        await within(Watched(refuse), Limits(inputs=3), asyncio.Semaphore(0)).complete(a_call(texts(4)))

    assert caught.value.message == "dimensions is not supported"


async def test_a_cancelled_request_leaves_no_part_running_and_gives_its_room_back() -> None:
    async def hang(_: ProviderCall) -> None:
        await asyncio.Event().wait()

    provider, room = Watched(hang), asyncio.Semaphore(2)
    before = asyncio.all_tasks()
    task = asyncio.create_task(within(provider, Limits(inputs=1), room).complete(a_call(texts(6))))
    await eventually(lambda: provider.at_once == 3)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert asyncio.all_tasks() == before
    assert provider.at_once == 0
    async with room, room:
        pass


async def test_a_stream_keeps_to_the_size_of_a_body_and_is_otherwise_passed_on() -> None:
    provider = Watched()
    call = ProviderCall("r-1", "chat", "m", {"messages": [{"role": "user", "content": "x" * 100}]}, 10.0, stream=True)

    with pytest.raises(ProviderError, match="limit body_bytes"):
        within(provider, Limits(body_bytes=100)).stream(call)
    items = [item async for item in within(provider, Limits(body_bytes=1000)).stream(call)]

    assert (len(items), len(provider.calls)) == (1, 1)


def test_a_models_word_on_oversize_is_in_the_plan() -> None:
    model = {"targets": ["sim/m"], "on_oversize": "reject"}
    settings = Settings.model_validate({"providers": {"sim": {"kind": "simulated"}}, "models": {"demo": model}})

    planned = plan(admitted("demo"), route_config(settings))

    assert planned.on_oversize == "reject"  # type: ignore[union-attr]
