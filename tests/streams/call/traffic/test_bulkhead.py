from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

from connectors.providers.provider import ProviderAnswer, ProviderCall
from schemas.events.vocabulary import Lane
from streams.app import call_config
from streams.call.stage import CallStage
from streams.call.traffic.bulkhead import Bulkhead
from streams.config.settings import Settings
from tests.eventually import eventually
from tests.factories import chat, now_ms, routed
from tests.streams.call.scripted_provider import ScriptedProvider, answer, never, work


async def test_there_is_room_for_so_many() -> None:
    room = Bulkhead(2)

    assert [room.try_acquire() for _ in range(3)] == [True, True, False]
    assert room.free == 0


async def test_who_waits_gets_the_place_of_the_first_who_leaves() -> None:
    room, inside = Bulkhead(1), list[int]()

    async def visit() -> None:
        async with room.acquire("interactive"):
            inside.append(room.free)
            await asyncio.sleep(0)

    await asyncio.gather(*(visit() for _ in range(3)))

    assert inside == [0, 0, 0]
    assert room.free == 1


async def test_the_batch_lane_gets_its_share_and_the_other_all_that_is_left() -> None:
    room = Bulkhead(4, batch_share=0.5)

    batch = [room.try_acquire("batch") for _ in range(3)]
    interactive = [room.try_acquire() for _ in range(3)]

    assert (batch, interactive) == ([True, True, False], [True, True, False])


async def test_one_of_the_batch_lane_gets_in_however_small_its_share() -> None:
    assert Bulkhead(1, batch_share=0.1).try_acquire("batch")


async def test_nobody_of_the_batch_lane_gets_in_while_others_wait() -> None:
    room, order = Bulkhead(1), list[Lane]()
    room.try_acquire()

    async def visit(lane: Lane) -> None:
        async with room.acquire(lane):
            order.append(lane)

    visits = [asyncio.create_task(visit(lane)) for lane in ("batch", "interactive", "batch", "interactive")]
    await asyncio.sleep(0)
    assert not room.has_capacity("batch")
    room.release()
    await asyncio.gather(*visits)

    assert order == ["interactive", "interactive", "batch", "batch"]
    assert room.free == 1


async def test_it_tells_by_its_pace_how_long_it_will_take_to_be_through() -> None:
    now_s = 0.0
    room = Bulkhead(1, clock=lambda: now_s)
    room.try_acquire()

    async def stay() -> None:
        async with room.acquire("interactive"):
            await asyncio.Event().wait()

    waiting = [asyncio.create_task(stay()) for _ in range(10)]
    await asyncio.sleep(0)
    assert (room.in_use, room.drain_time_s()) == (11, math.inf)

    for _ in range(5):
        now_s += 2.0
        room.release()
        await asyncio.sleep(0)
    now_s += 2.0

    assert (room.in_use, room.drain_time_s()) == (6, 6 * 10.0 / 5)
    for task in waiting:
        task.cancel()


async def test_a_provider_has_only_as_many_calls_at_once_as_it_takes() -> None:
    running: list[int] = []

    async def count(call: ProviderCall) -> ProviderAnswer:
        running.append(running[-1] + 1 if running else 1)
        await asyncio.sleep(0.001)
        running.append(running[-1] - 1)
        return await answer(call)

    settings = Settings.model_validate({"providers": {"sim": {"kind": "simulated", "max_in_flight": 3}}})
    stage = CallStage(call_config(settings), "w1", providers={"sim": ScriptedProvider(count)})

    await asyncio.gather(*(work(routed(), stage) for _ in range(20)))

    assert max(running) == 3


async def test_who_finds_no_room_until_its_deadline_expires_without_a_call() -> None:
    settings = Settings.model_validate({"providers": {"sim": {"kind": "simulated", "max_in_flight": 1}}})
    provider = ScriptedProvider(never)
    stage = CallStage(call_config(settings), "w1", providers={"sim": provider})
    first = asyncio.create_task(work(routed(), stage))
    await eventually(lambda: provider.calls)

    (settled,) = await work(routed(deadline_at=now_ms() + 60), stage)

    assert (settled.outcome, settled.attempts) == ("expired", 0)
    first.cancel()
    await asyncio.wait({first})


async def test_a_batch_takes_its_share_of_a_provider_and_interactive_calls_go_past_what_waits() -> None:
    gate, order = asyncio.Event(), list[str]()

    async def held(call: ProviderCall) -> ProviderAnswer:
        order.append(call.body["user"])
        await gate.wait()
        return await answer(call)

    settings = Settings.model_validate({"providers": {"sim": {"kind": "simulated", "max_in_flight": 4}}})
    stage = CallStage(call_config(settings), "w1", providers={"sim": ScriptedProvider(held)})

    def asked(who: str) -> asyncio.Task[Sequence[Any]]:
        lane = "batch" if who == "batch" else "interactive"
        return asyncio.create_task(work(routed(body=chat(user=who), lane=lane), stage))

    tasks = [asked("batch") for _ in range(50)]
    await eventually(lambda: len(order) == 2)
    tasks += [asked("person") for _ in range(6)]
    await eventually(lambda: len(order) == 4)
    gate.set()
    await asyncio.gather(*tasks)

    assert order == ["batch"] * 2 + ["person"] * 6 + ["batch"] * 48
