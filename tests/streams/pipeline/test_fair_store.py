from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streams.pipeline.fair_store import FairStore


def fill(store: FairStore[int], tenant: str, count: int, weight: int = 1) -> None:
    for number in range(count):
        store.put(f"{tenant}-{number}", tenant, number, weight)


def held(store: FairStore[int], tenant: str, count: int) -> list[int]:
    return [number for number in range(count) if store.get(f"{tenant}-{number}", tenant) is not None]


def test_one_tenant_can_use_the_whole_limit_and_loses_its_oldest() -> None:
    store = FairStore[int](10)

    fill(store, "acme", 12)

    assert held(store, "acme", 12) == list(range(2, 12))


def test_tenant_that_floods_loses_its_own_values_only() -> None:
    store = FairStore[int](100)
    fill(store, "acme", 40)

    fill(store, "globex", 10_000)

    assert held(store, "acme", 40) == list(range(40))
    assert len(store) == 100


def test_value_above_the_limit_is_not_kept_and_costs_its_own_tenant_only() -> None:
    store = FairStore[int](100)
    fill(store, "acme", 3, weight=10)
    fill(store, "globex", 3, weight=10)

    store.put("large", "globex", 0, 101)

    assert store.get("large", "globex") is None
    assert (held(store, "acme", 3), held(store, "globex", 3)) == ([0, 1, 2], [])


def test_value_that_becomes_heavier_costs_its_own_tenant() -> None:
    store = FairStore[int](100)
    fill(store, "acme", 4, weight=10)
    fill(store, "globex", 6, weight=10)

    store.reweigh("globex-5", 50)

    assert held(store, "acme", 4) == [0, 1, 2, 3]
    assert store.weight <= 100


def test_value_of_another_tenant_is_not_returned() -> None:
    store = FairStore[int](10)
    fill(store, "acme", 1)

    assert (store.get("acme-0", "globex"), store.peek("acme-0")) == (None, 0)


def test_value_is_dropped_at_its_age() -> None:
    now = 0.0
    store = FairStore[int](10, keep_s=60, clock=lambda: now)
    fill(store, "acme", 2)
    now = 61.0

    assert store.get("acme-0", "acme") is None

    fill(store, "globex", 1)
    assert (len(store), store.weight) == (1, 1)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=300), st.integers(1, 20))
def test_tenant_below_seven_eighths_of_an_even_share_loses_nothing(weights: list[int], kept: int) -> None:
    store = FairStore[int](1000)
    fill(store, "quiet", kept, weight=20)  # at most 400 of the 500 of two tenants

    for number, weight in enumerate(weights * 9):
        store.put(f"loud-{number}", "loud", number, weight)

    assert held(store, "quiet", kept) == list(range(kept))


class StoreMachine(RuleBasedStateMachine):
    """Compares the store with a plain dictionary of what it may still hold."""

    LIMIT = 100

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.store = FairStore[int](self.LIMIT, keep_s=50, clock=lambda: self.now)
        self.known: dict[str, tuple[str, int, float, int]] = {}

    @rule(key=st.sampled_from("abcdefghij"), tenant=st.sampled_from("xyz"), weight=st.integers(1, 60))
    def put(self, key: str, tenant: str, weight: int) -> None:
        self.known[key] = (tenant, weight, self.now, len(self.known))
        self.store.put(key, tenant, self.known[key][3], weight)

    @rule(key=st.sampled_from("abcdefghij"), weight=st.integers(1, 60))
    def reweigh(self, key: str, weight: int) -> None:
        if self.store.peek(key) is not None:
            tenant, _, since, value = self.known[key]
            self.known[key] = (tenant, weight, since, value)
            self.store.reweigh(key, weight)

    @rule(key=st.sampled_from("abcdefghij"))
    def discard(self, key: str) -> None:
        self.store.discard(key)
        self.known.pop(key, None)

    @rule(seconds=st.integers(1, 60))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def weight_is_that_of_its_values_and_within_the_limit(self) -> None:
        weights = Counter[str]()
        for key, (tenant, weight, _, _) in self.known.items():
            if self.store.peek(key) is not None:
                weights[tenant] += weight
        assert self.store.weight == weights.total() <= self.LIMIT

    @invariant()
    def value_is_right_young_and_its_own_tenants(self) -> None:
        for key, (tenant, _, since, value) in self.known.items():
            assert self.store.get(key, tenant) in {None, value}
            assert self.store.get(key, "other") is None
            assert self.store.get(key, tenant) is None or since >= self.now - 50


TestStore = StoreMachine.TestCase
