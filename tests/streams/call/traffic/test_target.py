from __future__ import annotations

import asyncio
import dataclasses
import math
from typing import Any

import pytest

from connectors.providers.provider import ProviderAnswer, ProviderError
from connectors.providers.resilience import Budget, RateState
from connectors.providers.simulated.provider import Simulated, SimulatedSettings
from schemas.events.parts import Usage
from streams.call.traffic.bulkhead import Bulkhead
from streams.call.traffic.circuit_breaker import StateChange
from streams.call.traffic.fair_share import MAX_RETRY_AFTER_S, DynamicThreshold
from streams.call.traffic.rate_limit import RequestCost
from streams.call.traffic.target import Permit, Rejection, TargetController

ANSWER = ProviderAnswer({"choices": []}, 200, Usage())
DOWN = ProviderError("server", "down", http_status=500)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Watched:
    """A gate on a clock that stands still unless told."""

    def __init__(self, room: int = 5, **settings: Any) -> None:
        self.clock = Clock()
        self.changes: list[StateChange] = []
        mood = SimulatedSettings.model_validate({"breaker": {"min_calls": 2, "probes": 1}, **settings})
        self.room = Bulkhead(room)
        self.gate = TargetController(
            "sim", Simulated("sim", mood), mood, bulkhead=self.room, on_change=self.changes.append, clock=self.clock
        )

    async def enter(self) -> Permit:
        turn = await self.gate.acquire(10.0)
        assert isinstance(turn, Permit)
        return turn

    async def call(
        self, result: ProviderAnswer | ProviderError | None, lasts_s: float = 0.0, timeout_s: float = 60.0
    ) -> None:
        turn = await self.enter()
        self.clock.now_s += lasts_s
        self.gate.release(turn, result, timeout_s)

    @property
    def open(self) -> bool:
        return self.gate.retry_after_s() > 0


async def test_a_target_that_fails_is_passed_over_until_its_cool_down_is_over() -> None:
    watched = Watched()
    await watched.call(DOWN)
    await watched.call(DOWN)

    assert await watched.gate.acquire(10.0) == Rejection("capacity", 5.0)
    watched.clock.now_s = 5.0
    await watched.call(ANSWER)

    assert [change.state for change in watched.changes] == ["open", "half_open", "closed"]


@pytest.mark.parametrize("error_type", ["capacity", "server", "network", "timeout"])
async def test_what_is_the_providers_fault_opens_the_breaker(error_type: Any) -> None:
    watched = Watched()

    for _ in range(2):
        await watched.call(ProviderError(error_type, "no", http_status=500))

    assert watched.open


@pytest.mark.parametrize("error_type", ["rate_limited", "quota_exhausted", "auth", "invalid_request", "not_found"])
async def test_what_is_not_its_fault_shows_that_it_is_there(error_type: Any) -> None:
    watched = Watched(breaker={"min_calls": 2, "failure_ratio": 0.6})
    await watched.call(ProviderError(error_type, "no", http_status=400))
    await watched.call(DOWN)

    assert not watched.open


async def test_a_limit_of_rate_opens_it_if_that_is_wanted() -> None:
    watched = Watched(breaker={"min_calls": 2, "count_rate_limited": True})

    for _ in range(2):
        await watched.call(ProviderError("rate_limited", "slower", http_status=429))

    assert watched.open


@pytest.mark.parametrize(
    ("lasted_s", "timeout_s", "is_open"), [(1.0, 60.0, False), (30.0, 60.0, True), (2.0, 2.0, True)]
)
async def test_a_caller_that_gives_no_time_is_not_the_providers_fault(
    lasted_s: float, timeout_s: float, is_open: bool
) -> None:
    watched = Watched(breaker={"min_calls": 2, "window_s": 100})

    for _ in range(2):
        await watched.call(ProviderError("timeout", "no answer"), lasted_s, timeout_s)

    assert watched.open is is_open


async def test_what_was_cancelled_or_refused_by_us_says_nothing() -> None:
    watched = Watched()
    await watched.call(DOWN)

    await watched.call(None)
    await watched.call(ProviderError("invalid_request", "too large", param="input"))

    assert not watched.open


async def test_every_turn_gives_its_room_back() -> None:
    watched = Watched(room=1)

    for result in (ANSWER, None, ProviderError("auth", "who?", http_status=401)):
        await watched.call(result)

    assert watched.room.free


async def test_who_finds_no_room_in_time_has_no_turn() -> None:
    watched = Watched(room=1)
    await watched.enter()

    assert await watched.gate.acquire(0.01) is None
    assert await watched.gate.acquire(0.0) is None


async def test_who_waited_for_room_while_it_opened_is_passed_over_and_leaves_the_room() -> None:
    watched = Watched(room=2)
    turns = [await watched.enter() for _ in range(2)]
    waiting = asyncio.create_task(watched.gate.acquire(10.0))
    await asyncio.sleep(0)

    for turn in turns:
        watched.gate.release(turn, DOWN, 60.0)

    assert await waiting == Rejection("capacity", 5.0)
    assert watched.room.free


async def test_a_call_waits_for_its_turn_within_the_rate_limit_and_says_how_long() -> None:
    mood = SimulatedSettings.model_validate({"rate_limit": {"requests_per_minute": 600}})
    gate = TargetController("sim", Simulated("sim", mood), mood)
    for _ in range(60):
        assert isinstance(await gate.acquire(0.01), Permit)

    turn = await gate.acquire(5.0)

    assert isinstance(turn, Permit)
    assert turn.waited_s > 0.05


async def test_who_would_wait_beyond_its_deadline_is_told_when_to_come_again() -> None:
    watched = Watched(rate_limit={"requests_per_minute": 10})
    await watched.call(ANSWER)

    passed = await watched.gate.acquire(5.0)

    assert isinstance(passed, Rejection)
    assert passed.reason == "rate_limited"
    assert passed.retry_after_s == pytest.approx(6.0)


async def test_what_the_provider_says_is_kept_to_and_what_was_guessed_is_set_right() -> None:
    watched = Watched(rate_limit={"tokens_per_minute": 6000})
    turn = await watched.gate.acquire(10.0, RequestCost(1, 600))
    assert isinstance(turn, Permit)
    rates = RateState(Budget(60, 0, 60.0))

    watched.gate.release(turn, dataclasses.replace(ANSWER, usage=Usage(input_tokens=10), rates=rates), 60.0)

    passed = await watched.gate.acquire(0.5, RequestCost(1, 100))
    assert isinstance(passed, Rejection)
    assert passed.reason == "rate_limited"
    assert passed.retry_after_s == pytest.approx(1.0)
    watched.clock.now_s = 1.0
    assert isinstance(await watched.gate.acquire(0.5, RequestCost(1, 100)), Permit)


async def test_a_target_that_is_overloaded_gets_fewer_calls_at_once_while_others_have_the_room() -> None:
    watched = Watched(room=20, max_in_flight=20)
    turns = [await watched.enter() for _ in range(10)]
    watched.clock.now_s = 1.0

    watched.gate.release(turns[0], ProviderError("rate_limited", "slower", http_status=429), 60.0)
    for turn in turns[1:4]:
        watched.gate.release(turn, ANSWER, 60.0)

    assert (await watched.enter()).in_flight_limit == 7
    assert await watched.gate.acquire(0.01) is None
    assert watched.room.free == 13


async def test_a_call_that_ends_lets_the_next_one_in() -> None:
    watched = Watched(room=1, max_in_flight=1)
    turn = await watched.enter()
    waiting = asyncio.create_task(watched.gate.acquire(10.0))
    await asyncio.sleep(0)

    watched.gate.release(turn, ANSWER, 60.0)

    assert isinstance(await waiting, Permit)


async def test_the_burden_of_a_target_is_its_latency_times_its_calls_and_endless_while_it_is_left_alone() -> None:
    watched = Watched()
    await watched.call(ANSWER, lasts_s=0.5)
    await watched.enter()

    assert watched.gate.load_score_s() == 1.0
    await watched.call(DOWN)
    assert watched.gate.load_score_s() == math.inf


async def test_a_callers_own_mistake_makes_a_target_no_slower() -> None:
    watched = Watched()
    await watched.call(ANSWER, lasts_s=0.5)

    await watched.call(ProviderError("invalid_request", "no such parameter", http_status=400))

    assert watched.gate.load_score_s() == 0.5


async def test_the_batch_lane_gets_its_share_of_what_a_target_takes() -> None:
    mood = SimulatedSettings(max_in_flight=4)
    gate = TargetController("sim", Simulated("sim", mood), mood, batch_share=0.5)

    turns = [await gate.acquire(0.01, lane="batch") for _ in range(3)]

    assert [turn is not None for turn in turns] == [True, True, False]
    assert isinstance(await gate.acquire(0.01), Permit)


async def test_what_the_batch_lane_gives_back_is_its_own_share() -> None:
    mood = SimulatedSettings(max_in_flight=2)
    gate = TargetController("sim", Simulated("sim", mood), mood, batch_share=0.5)

    for _ in range(3):
        turn = await gate.acquire(0.01, lane="batch")
        assert isinstance(turn, Permit)
        gate.release(turn, ANSWER, 60.0)


async def test_who_finds_too_many_at_a_provider_that_stalls_is_passed_over_but_not_of_the_batch_lane() -> None:
    slots, mood = DynamicThreshold(4, 0.5), SimulatedSettings(max_in_flight=1)
    gate = TargetController("sim", Simulated("sim", mood), mood, threshold=slots)
    assert isinstance(await gate.acquire(1.0), Permit)
    slots.in_use = 3
    waiting = asyncio.create_task(gate.acquire(60.0))
    await asyncio.sleep(0)

    assert await gate.acquire(60.0) == Rejection("capacity", MAX_RETRY_AFTER_S)
    assert await gate.acquire(0.01, lane="batch") is None
    waiting.cancel()
