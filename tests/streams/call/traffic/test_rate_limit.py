from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.resilience import Budget, RateLimit, RateState
from streams.call.traffic.rate_limit import ConfiguredRateLimit, ObservedRateLimit, RequestCost, estimate_cost

ONE = RequestCost()


def served(pace: ConfiguredRateLimit, seconds: float, cost: RequestCost = ONE, step_s: float = 0.05) -> int:
    """How many calls get through if there is always another one."""
    count, now_s = 0, 0.0
    while now_s < seconds:
        while pace.wait_s(cost, now_s) == 0:
            pace.consume(cost)
            count += 1
        now_s += step_s
    return count


def test_no_limit_lets_all_through() -> None:
    pace = ConfiguredRateLimit(None)

    pace.consume(RequestCost(1e9, 1e9))

    assert pace.wait_s(ONE, 0.0) == 0


def test_the_burst_goes_out_at_once_and_the_rest_at_the_rate() -> None:
    assert served(ConfiguredRateLimit(RateLimit(requests_per_minute=60)), 120.0) == pytest.approx(6 + 120, abs=1)


def test_tokens_are_a_limit_of_their_own() -> None:
    limit = RateLimit(requests_per_minute=600, tokens_per_minute=6000)

    assert served(ConfiguredRateLimit(limit), 60.0, RequestCost(1, 200)) == pytest.approx(33, abs=1)


def test_a_call_of_more_tokens_than_fit_goes_when_all_are_there_and_is_paid_back() -> None:
    pace = ConfiguredRateLimit(RateLimit(tokens_per_minute=600))
    large = RequestCost(1, 1000)

    assert pace.wait_s(large, 0.0) == 0
    pace.consume(large)

    assert pace.wait_s(ONE._replace(tokens=1), 0.0) == pytest.approx((1000 - 60 + 1) / 10)


def test_a_guess_is_set_right() -> None:
    pace = ConfiguredRateLimit(RateLimit(tokens_per_minute=6000))
    pace.consume(RequestCost(1, 600))
    assert pace.wait_s(RequestCost(1, 100), 0.0) > 0

    pace.consume(RequestCost(0, 20 - 600))

    assert pace.wait_s(RequestCost(1, 100), 0.0) == 0


@given(st.lists(st.integers(1, 8), min_size=1, max_size=6))
def test_workers_together_keep_to_the_limit(held: list[int]) -> None:
    total, limit = sum(held), RateLimit(requests_per_minute=600)
    paces = [ConfiguredRateLimit(limit) for _ in held]
    for pace, partitions in zip(paces, held, strict=True):
        pace.share = partitions / total

    counts = [served(pace, 60.0) for pace in paces]

    assert sum(counts) == pytest.approx(660, abs=len(held) * 2 + total)
    assert counts[0] == pytest.approx(660 * held[0] / total, abs=2 + total)


def test_a_queue_knows_how_long_all_of_it_takes() -> None:
    pace = ConfiguredRateLimit(RateLimit(requests_per_minute=60))

    assert pace.wait_s(RequestCost(30), 0.0, is_total=True) == pytest.approx(24.0)
    assert pace.wait_s(RequestCost(30), 0.0) == 0


def test_what_the_provider_says_is_left_is_all_there_is_until_it_grows() -> None:
    learned = ObservedRateLimit()
    learned.observe(RateState(Budget(60, 2, 58.0)), 0.0)

    for _ in range(2):
        assert learned.wait_s(ONE, 0.0, 1.0) == 0
        learned.consume(ONE, 1.0)

    assert learned.wait_s(ONE, 0.0, 1.0) == pytest.approx(1.0)
    assert learned.wait_s(ONE, 1.0, 1.0) == 0


def test_after_the_reset_nothing_is_known_any_more() -> None:
    learned = ObservedRateLimit()
    learned.observe(RateState(Budget(60, 0, 5.0), Budget(60, 0, 5.0)), 0.0)

    for _ in range(3):
        learned.consume(RequestCost(1, 10_000), 1.0)

    assert 0 < learned.wait_s(ONE, 0.0, 1.0) <= 5.0
    assert learned.wait_s(ONE, 5.0, 1.0) == 0


def test_a_worker_takes_only_its_part_of_what_is_left() -> None:
    learned = ObservedRateLimit()
    learned.observe(RateState(Budget(60, 8, 52.0)), 0.0)

    taken = 0
    while learned.wait_s(ONE, 0.0, 0.25) == 0:
        learned.consume(ONE, 0.25)
        taken += 1

    assert taken == 2


def test_tokens_that_are_used_up_are_waited_for() -> None:
    learned = ObservedRateLimit()
    learned.observe(RateState(None, Budget(1000, 0, 10.0)), 0.0)

    assert learned.wait_s(RequestCost(1, 500), 0.0, 1.0) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("body", "tokens"), [({}, 100), ({"max_tokens": 50}, 150), ({"max_completion_tokens": 70, "max_tokens": 50}, 170)]
)
def test_a_guess_is_of_the_text_and_the_longest_answer(body: dict[str, int], tokens: float) -> None:
    assert estimate_cost(400, body) == RequestCost(1, tokens)
