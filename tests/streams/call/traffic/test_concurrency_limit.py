from __future__ import annotations

import heapq
import random

import pytest

from streams.call.traffic.concurrency_limit import MIN_LIMIT, AdaptiveConcurrencyLimit


class Server:
    """Server that needs a second for each call within its capacity and refuses the others. Demand is higher."""

    def __init__(self, capacity: int, *limits: AdaptiveConcurrencyLimit) -> None:
        self.capacity = capacity
        self.limits = limits
        self.in_flight = [0] * len(limits)
        self.answered = self.refused = 0
        self.now_s = 0.0
        self.draw = random.Random(7)
        self.events: list[tuple[float, int, float, bool]] = []

    def run(self, seconds: float) -> None:
        """Every 10 ms, start the calls that the limits allow and end those that are due."""
        self.answered = self.refused = 0
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            while self.events and self.events[0][0] <= self.now_s:
                self._end(*heapq.heappop(self.events)[1:])
            while below_limit := [
                number for number, limit in enumerate(self.limits) if self.in_flight[number] < limit.limit
            ]:
                self._start(self.draw.choice(below_limit))
            self.now_s += 0.01

    def _start(self, number: int) -> None:
        accepted_calls = sum(1 for *_, accepted in self.events if accepted)
        accepted = accepted_calls < self.capacity
        self.in_flight[number] += 1
        duration_s = 1.0 if accepted else 0.02
        heapq.heappush(self.events, (self.now_s + duration_s, number, self.now_s, accepted))

    def _end(self, number: int, started_s: float, accepted: bool) -> None:
        limit, at_end = self.limits[number], self.in_flight[number]
        self.in_flight[number] -= 1
        if accepted:
            self.answered += 1
            limit.on_success(at_end)
        else:
            self.refused += 1
            limit.on_overload(at_end, started_s, self.now_s)


def test_limit_converges_to_the_capacity_of_the_server() -> None:
    server = Server(40, AdaptiveConcurrencyLimit(200))
    server.run(30.0)

    server.run(60.0)

    assert server.answered > 60 * 40 * 0.75
    assert server.refused < server.answered * 0.02


def test_limit_grows_with_the_capacity_of_the_server() -> None:
    limit = AdaptiveConcurrencyLimit(200)
    server = Server(20, limit)
    server.run(30.0)

    server.capacity = 60
    server.run(60.0)
    server.run(30.0)

    assert server.answered > 30 * 60 * 0.7


def test_limits_of_independent_workers_converge_to_equal_shares() -> None:
    one, other = AdaptiveConcurrencyLimit(100), AdaptiveConcurrencyLimit(100)
    server = Server(50, one)
    server.run(20.0)
    server.limits, server.in_flight = (one, other), [*server.in_flight, 0]
    server.run(120.0)

    sums = [0, 0]
    for _ in range(60):
        server.run(2.0)
        sums = [sums[0] + one.limit, sums[1] + other.limit]

    assert sums[0] == pytest.approx(sums[1], rel=0.25)


def test_limit_stays_between_minimum_and_maximum() -> None:
    limit = AdaptiveConcurrencyLimit(10)

    for _ in range(100):
        limit.on_success(10)
    assert limit.limit == 10
    for now_s in range(100):
        limit.on_overload(limit.limit, now_s + 0.5, now_s + 1.0)

    assert limit.limit == MIN_LIMIT
    assert AdaptiveConcurrencyLimit(1).limit == 1


def test_overload_of_concurrent_calls_counts_once() -> None:
    limit = AdaptiveConcurrencyLimit(100)

    for _ in range(50):
        limit.on_overload(100, started_s=1.0, now_s=2.0)

    assert limit.limit == 70


def test_limit_does_not_grow_at_low_utilization() -> None:
    limit = AdaptiveConcurrencyLimit(100)
    limit.on_overload(50, 0.0, 1.0)
    before = limit.limit

    for _ in range(1000):
        limit.on_success(before // 3)

    assert limit.limit == before == 35
