from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

from connectors.providers.provider import ProviderAnswer, ProviderCall
from schemas.events.vocabulary import Lane
from streams.call.stage import CallStage
from streams.call.traffic.bulkhead import Bulkhead
from streams.composition import call_config
from streams.config.settings import Settings
from tests.eventually import eventually
from tests.factories import chat, now_ms, routed
from tests.streams.call.scripted_provider import ScriptedProvider, answer, hang, process


async def test_try_acquire_grants_as_many_permits_as_the_limit() -> None:
    bulkhead = Bulkhead(2)

    assert [bulkhead.try_acquire() for _ in range(3)] == [True, True, False]
    assert bulkhead.free == 0


async def test_waiting_call_gets_the_next_released_permit() -> None:
    bulkhead, free = Bulkhead(1), list[int]()

    async def call_once() -> None:
        async with bulkhead.acquire("interactive"):
            free.append(bulkhead.free)
            await asyncio.sleep(0)

    await asyncio.gather(*(call_once() for _ in range(3)))

    assert free == [0, 0, 0]
    assert bulkhead.free == 1


async def test_batch_lane_gets_its_share_and_the_interactive_lane_the_rest() -> None:
    bulkhead = Bulkhead(4, batch_share=0.5)

    batch = [bulkhead.try_acquire("batch") for _ in range(3)]
    interactive = [bulkhead.try_acquire() for _ in range(3)]

    assert (batch, interactive) == ([True, True, False], [True, True, False])


async def test_batch_lane_gets_at_least_one_permit() -> None:
    assert Bulkhead(1, batch_share=0.1).try_acquire("batch")


async def test_batch_lane_gets_no_permit_while_interactive_calls_wait() -> None:
    bulkhead, order = Bulkhead(1), list[Lane]()
    bulkhead.try_acquire()

    async def call_once(lane: Lane) -> None:
        async with bulkhead.acquire(lane):
            order.append(lane)

    calls = [asyncio.create_task(call_once(lane)) for lane in ("batch", "interactive", "batch", "interactive")]
    await asyncio.sleep(0)
    assert not bulkhead.has_capacity("batch")
    bulkhead.release()
    await asyncio.gather(*calls)

    assert order == ["interactive", "interactive", "batch", "batch"]
    assert bulkhead.free == 1


async def test_drain_time_follows_from_the_latest_completions() -> None:
    now_s = 0.0
    bulkhead = Bulkhead(1, clock=lambda: now_s)
    bulkhead.try_acquire()

    async def stay() -> None:
        async with bulkhead.acquire("interactive"):
            await asyncio.Event().wait()

    waiting = [asyncio.create_task(stay()) for _ in range(10)]
    await asyncio.sleep(0)
    assert (bulkhead.in_use, bulkhead.drain_time_s()) == (11, math.inf)

    for _ in range(5):
        now_s += 2.0
        bulkhead.release()
        await asyncio.sleep(0)
    now_s += 2.0

    assert (bulkhead.in_use, bulkhead.drain_time_s()) == (6, 6 * 10.0 / 5)
    for task in waiting:
        task.cancel()


async def test_stage_keeps_to_max_in_flight_of_a_provider() -> None:
    running: list[int] = []

    async def count(call: ProviderCall) -> ProviderAnswer:
        running.append(running[-1] + 1 if running else 1)
        await asyncio.sleep(0.001)
        running.append(running[-1] - 1)
        return await answer(call)

    settings = Settings.model_validate({"providers": {"sim": {"kind": "simulated", "max_in_flight": 3}}})
    stage = CallStage(call_config(settings), "w1", providers={"sim": ScriptedProvider(count)})

    await asyncio.gather(*(process(routed(), stage) for _ in range(20)))

    assert max(running) == 3


async def test_request_without_a_permit_until_its_deadline_expires_without_a_call() -> None:
    settings = Settings.model_validate({"providers": {"sim": {"kind": "simulated", "max_in_flight": 1}}})
    provider = ScriptedProvider(hang)
    stage = CallStage(call_config(settings), "w1", providers={"sim": provider})
    first = asyncio.create_task(process(routed(), stage))
    await eventually(lambda: provider.calls)

    (settled,) = await process(routed(deadline_at=now_ms() + 60), stage)

    assert (settled.outcome, settled.attempts) == ("expired", 0)
    first.cancel()
    await asyncio.wait({first})


async def test_interactive_calls_overtake_waiting_batch_calls() -> None:
    release_all, order = asyncio.Event(), list[str]()

    async def held(call: ProviderCall) -> ProviderAnswer:
        order.append(call.body["user"])
        await release_all.wait()
        return await answer(call)

    settings = Settings.model_validate({"providers": {"sim": {"kind": "simulated", "max_in_flight": 4}}})
    stage = CallStage(call_config(settings), "w1", providers={"sim": ScriptedProvider(held)})

    def start(user: str) -> asyncio.Task[Sequence[Any]]:
        lane = "batch" if user == "batch" else "interactive"
        return asyncio.create_task(process(routed(body=chat(user=user), lane=lane), stage))

    tasks = [start("batch") for _ in range(50)]
    await eventually(lambda: len(order) == 2)
    tasks += [start("person") for _ in range(6)]
    await eventually(lambda: len(order) == 4)
    release_all.set()
    await asyncio.gather(*tasks)

    assert order == ["batch"] * 2 + ["person"] * 6 + ["batch"] * 48
