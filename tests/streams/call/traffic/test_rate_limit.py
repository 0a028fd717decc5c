from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.resilience import Budget, RateLimit, RateState
from streams.call.traffic.rate_limit import ConfiguredRateLimit, ObservedRateLimit, RequestCost, estimate_cost

ONE = RequestCost()


def admitted(limit_: ConfiguredRateLimit, seconds: float, cost: RequestCost = ONE, step_s: float = 0.05) -> int:
    """Return the number of calls admitted under unlimited demand."""
    count, now_s = 0, 0.0
    while now_s < seconds:
        while limit_.wait_s(cost, now_s) == 0:
            limit_.consume(cost)
            count += 1
        now_s += step_s
    return count


def test_no_configured_limit_admits_everything() -> None:
    limit_ = ConfiguredRateLimit(None)

    limit_.consume(RequestCost(1e9, 1e9))

    assert limit_.wait_s(ONE, 0.0) == 0


def test_bucket_admits_the_burst_at_once_and_then_the_rate() -> None:
    assert admitted(ConfiguredRateLimit(RateLimit(requests_per_minute=60)), 120.0) == pytest.approx(6 + 120, abs=1)


def test_tokens_are_limited_independently_of_requests() -> None:
    limit = RateLimit(requests_per_minute=600, tokens_per_minute=6000)

    assert admitted(ConfiguredRateLimit(limit), 60.0, RequestCost(1, 200)) == pytest.approx(33, abs=1)


def test_cost_above_the_capacity_is_admitted_by_a_full_bucket_and_repaid() -> None:
    limit_ = ConfiguredRateLimit(RateLimit(tokens_per_minute=600))
    large = RequestCost(1, 1000)

    assert limit_.wait_s(large, 0.0) == 0
    limit_.consume(large)

    assert limit_.wait_s(ONE._replace(tokens=1), 0.0) == pytest.approx((1000 - 60 + 1) / 10)


def test_negative_cost_corrects_an_estimate() -> None:
    limit_ = ConfiguredRateLimit(RateLimit(tokens_per_minute=6000))
    limit_.consume(RequestCost(1, 600))
    assert limit_.wait_s(RequestCost(1, 100), 0.0) > 0

    limit_.consume(RequestCost(0, 20 - 600))

    assert limit_.wait_s(RequestCost(1, 100), 0.0) == 0


@given(st.lists(st.integers(1, 8), min_size=1, max_size=6))
def test_shares_of_all_workers_add_up_to_the_limit(partitions_held: list[int]) -> None:
    total, limit = sum(partitions_held), RateLimit(requests_per_minute=600)
    limits = [ConfiguredRateLimit(limit) for _ in partitions_held]
    for limit_, partitions in zip(limits, partitions_held, strict=True):
        limit_.share = partitions / total

    counts = [admitted(limit_, 60.0) for limit_ in limits]

    assert sum(counts) == pytest.approx(660, abs=len(partitions_held) * 2 + total)
    assert counts[0] == pytest.approx(660 * partitions_held[0] / total, abs=2 + total)


def test_total_cost_may_exceed_the_capacity() -> None:
    limit_ = ConfiguredRateLimit(RateLimit(requests_per_minute=60))

    assert limit_.wait_s(RequestCost(30), 0.0, is_total=True) == pytest.approx(24.0)
    assert limit_.wait_s(RequestCost(30), 0.0) == 0


def test_observed_limit_admits_the_remaining_budget_and_then_refills() -> None:
    observed = ObservedRateLimit()
    observed.observe(RateState(Budget(60, 2, 58.0)), 0.0)

    for _ in range(2):
        assert observed.wait_s(ONE, 0.0, 1.0) == 0
        observed.consume(ONE, 1.0)

    assert observed.wait_s(ONE, 0.0, 1.0) == pytest.approx(1.0)
    assert observed.wait_s(ONE, 1.0, 1.0) == 0


def test_observed_limit_ends_at_the_reset() -> None:
    observed = ObservedRateLimit()
    observed.observe(RateState(Budget(60, 0, 5.0), Budget(60, 0, 5.0)), 0.0)

    for _ in range(3):
        observed.consume(RequestCost(1, 10_000), 1.0)

    assert 0 < observed.wait_s(ONE, 0.0, 1.0) <= 5.0
    assert observed.wait_s(ONE, 5.0, 1.0) == 0


def test_worker_uses_its_share_of_the_observed_budget() -> None:
    observed = ObservedRateLimit()
    observed.observe(RateState(Budget(60, 8, 52.0)), 0.0)

    taken = 0
    while observed.wait_s(ONE, 0.0, 0.25) == 0:
        observed.consume(ONE, 0.25)
        taken += 1

    assert taken == 2


def test_observed_limit_waits_for_tokens() -> None:
    observed = ObservedRateLimit()
    observed.observe(RateState(None, Budget(1000, 0, 10.0)), 0.0)

    assert observed.wait_s(RequestCost(1, 500), 0.0, 1.0) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("body", "tokens"), [({}, 100), ({"max_tokens": 50}, 150), ({"max_completion_tokens": 70, "max_tokens": 50}, 170)]
)
def test_estimated_cost_is_the_text_plus_the_longest_answer(body: dict[str, int], tokens: float) -> None:
    assert estimate_cost(400, body) == RequestCost(1, tokens)
