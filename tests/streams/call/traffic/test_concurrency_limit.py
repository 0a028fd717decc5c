from __future__ import annotations

import heapq
import random

import pytest

from streams.call.traffic.concurrency_limit import MIN_LIMIT, AdaptiveConcurrencyLimit


class Server:
    """Takes so many calls at once, each of a second; refuses the rest at once. More callers than it takes want it."""

    def __init__(self, capacity: int, *limits: AdaptiveConcurrencyLimit) -> None:
        self.capacity = capacity
        self.limits = limits
        self.flying = [0] * len(limits)
        self.answered = self.refused = 0
        self.now_s = 0.0
        self.draw = random.Random(7)
        self.events: list[tuple[float, int, float, bool]] = []

    def run(self, seconds: float) -> None:
        """Start what the limits allow every 10 ms, and end what has its time."""
        self.answered = self.refused = 0
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            while self.events and self.events[0][0] <= self.now_s:
                self._end(*heapq.heappop(self.events)[1:])
            while hungry := [number for number, limit in enumerate(self.limits) if self.flying[number] < limit.limit]:
                self._begin(self.draw.choice(hungry))
            self.now_s += 0.01

    def _begin(self, number: int) -> None:
        taken = sum(1 for *_, accepted in self.events if accepted)
        accepted = taken < self.capacity
        self.flying[number] += 1
        lasts_s = 1.0 if accepted else 0.02
        heapq.heappush(self.events, (self.now_s + lasts_s, number, self.now_s, accepted))

    def _end(self, number: int, began_s: float, accepted: bool) -> None:
        limit, in_flight = self.limits[number], self.flying[number]
        self.flying[number] -= 1
        if accepted:
            self.answered += 1
            limit.on_success(in_flight)
        else:
            self.refused += 1
            limit.on_overload(in_flight, began_s, self.now_s)


def test_it_finds_what_a_server_takes_and_uses_most_of_it() -> None:
    server = Server(40, AdaptiveConcurrencyLimit(200))
    server.run(30.0)

    server.run(60.0)

    assert server.answered > 60 * 40 * 0.75
    assert server.refused < server.answered * 0.02


def test_it_follows_when_the_server_takes_more() -> None:
    limit = AdaptiveConcurrencyLimit(200)
    server = Server(20, limit)
    server.run(30.0)

    server.capacity = 60
    server.run(60.0)
    server.run(30.0)

    assert server.answered > 30 * 60 * 0.7


def test_workers_that_know_nothing_of_each_other_come_to_fair_shares() -> None:
    one, other = AdaptiveConcurrencyLimit(100), AdaptiveConcurrencyLimit(100)
    server = Server(50, one)
    server.run(20.0)
    server.limits, server.flying = (one, other), [*server.flying, 0]
    server.run(120.0)

    sums = [0, 0]
    for _ in range(60):
        server.run(2.0)
        sums = [sums[0] + one.limit, sums[1] + other.limit]

    assert sums[0] == pytest.approx(sums[1], rel=0.25)


def test_it_never_exceeds_what_is_configured_and_never_stops() -> None:
    limit = AdaptiveConcurrencyLimit(10)

    for _ in range(100):
        limit.on_success(10)
    assert limit.limit == 10
    for now_s in range(100):
        limit.on_overload(limit.limit, now_s + 0.5, now_s + 1.0)

    assert limit.limit == MIN_LIMIT
    assert AdaptiveConcurrencyLimit(1).limit == 1


def test_calls_that_were_under_way_together_count_once() -> None:
    limit = AdaptiveConcurrencyLimit(100)

    for _ in range(50):
        limit.on_overload(100, started_s=1.0, now_s=2.0)

    assert limit.limit == 70


def test_who_uses_little_of_it_learns_nothing_from_answers() -> None:
    limit = AdaptiveConcurrencyLimit(100)
    limit.on_overload(50, 0.0, 1.0)
    before = limit.limit

    for _ in range(1000):
        limit.on_success(before // 3)

    assert limit.limit == before == 35
