from __future__ import annotations

import uuid

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from streams.call.idempotency.answer_index import AnswerIndex

DAY_MINUTES = 24 * 60
NOW = 1_800_000_000.0


def make_request_id() -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, str(uuid.uuid4())))


def minutes_ago(minutes: float) -> int:
    return int((NOW - 60 * minutes) * 1000)


def make_index(limit: int = 100) -> AnswerIndex:
    return AnswerIndex(limit, clock=lambda: NOW)


def test_find_returns_the_offset_of_a_request() -> None:
    index, request_id, other_id = make_index(), make_request_id(), make_request_id()

    assert index.add(request_id, 1, 10, minutes_ago(5))
    assert index.add(other_id, 2, 20, minutes_ago(4))

    assert (index.find(request_id), index.find(other_id), index.find(make_request_id())) == (10, 20, None)


def test_higher_offset_wins_in_either_order() -> None:
    index, request_id = make_index(), make_request_id()

    index.add(request_id, 1, 11, minutes_ago(4))
    index.add(request_id, 1, 10, minutes_ago(5))

    assert index.find(request_id) == 11


def test_answer_older_than_a_day_is_not_added() -> None:
    index, request_id = make_index(), make_request_id()

    assert not index.add(request_id, 1, 10, minutes_ago(DAY_MINUTES + 1))

    assert index.find(request_id) is None


def test_full_index_evicts_the_oldest_answers() -> None:
    index, ids = make_index(limit=3), [make_request_id() for _ in range(4)]
    for age, request_id in enumerate(ids[:3]):
        assert index.add(request_id, 1, 100 - age, minutes_ago(age))

    assert not index.add(ids[3], 1, 50, minutes_ago(60))

    assert [index.find(request_id) for request_id in ids] == [100, 99, 98, None]


def test_drop_partition_forgets_only_that_partition() -> None:
    index, request_id, other_id = make_index(), make_request_id(), make_request_id()
    index.add(request_id, 1, 10, minutes_ago(5))
    index.add(other_id, 2, 10, minutes_ago(5))

    index.drop_partition(1)

    assert (index.find(request_id), index.find(other_id), len(index)) == (None, 10, 1)


def test_answer_with_a_future_timestamp_counts_as_new() -> None:
    index, request_id, other_id = make_index(limit=1), make_request_id(), make_request_id()
    index.add(request_id, 1, 10, minutes_ago(-DAY_MINUTES))

    index.add(other_id, 1, 11, minutes_ago(-1))

    assert len(index) <= 1


class IndexMachine(RuleBasedStateMachine):
    """Compares the index with a plain list of all added answers."""

    answers = Bundle("answers")
    LIMIT = 20

    @initialize()
    def begin(self) -> None:
        self.now = NOW
        self.index = AnswerIndex(self.LIMIT, clock=lambda: self.now)
        self.known: dict[str, tuple[int, int, int]] = {}
        self.overflowed = False

    @rule(target=answers, partition=st.integers(0, 2), age=st.integers(0, DAY_MINUTES + 10))
    def add(self, partition: int, age: int) -> str:
        request_id, offset = make_request_id(), len(self.known) + 1
        self.known[request_id] = (partition, offset, int((self.now - 60 * age) * 1000))
        self.index.add(request_id, *self.known[request_id])
        self.overflowed |= sum(self.is_young(request_id) for request_id in self.known) > self.LIMIT
        return request_id

    @rule(request_id=answers)
    def add_again(self, request_id: str) -> None:
        if request_id in self.known:
            self.index.add(request_id, *self.known[request_id])

    @rule(minutes=st.integers(1, DAY_MINUTES))
    def wait(self, minutes: int) -> None:
        self.now += 60 * minutes

    @rule(partition=st.integers(0, 2))
    def drop_partition(self, partition: int) -> None:
        self.index.drop_partition(partition)
        self.known = {request_id: add for request_id, add in self.known.items() if add[0] != partition}

    def is_young(self, request_id: str) -> bool:
        return self.known[request_id][2] > (self.now - 60 * (DAY_MINUTES - 1)) * 1000

    @invariant()
    def size_is_bounded(self) -> None:
        assert len(self.index) <= self.LIMIT

    @invariant()
    def found_offset_is_right(self) -> None:
        for request_id, (_, offset, _) in self.known.items():
            assert self.index.find(request_id) in {None, offset}

    @invariant()
    def answers_of_the_day_are_found_until_the_index_was_full(self) -> None:
        missing = [
            request_id for request_id in self.known if self.is_young(request_id) and self.index.find(request_id) is None
        ]
        assert self.overflowed or not missing


TestIndex = IndexMachine.TestCase
