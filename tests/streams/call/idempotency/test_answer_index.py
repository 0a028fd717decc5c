from __future__ import annotations

import uuid

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from streams.call.idempotency.answer_index import AnswerIndex

DAY_MINUTES = 24 * 60
NOW = 1_800_000_000.0


def named() -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, str(uuid.uuid4())))


def ago(minutes: float) -> int:
    return int((NOW - 60 * minutes) * 1000)


def fixed(limit: int = 100) -> AnswerIndex:
    return AnswerIndex(limit, clock=lambda: NOW)


def test_an_answer_is_found_by_its_request() -> None:
    bookmarks, one, other = fixed(), named(), named()

    assert bookmarks.add(one, 1, 10, ago(5))
    assert bookmarks.add(other, 2, 20, ago(4))

    assert (bookmarks.find(one), bookmarks.find(other), bookmarks.find(named())) == (10, 20, None)


def test_of_two_answers_to_one_request_the_later_counts_in_whichever_order_they_are_read() -> None:
    bookmarks, one = fixed(), named()

    bookmarks.add(one, 1, 11, ago(4))
    bookmarks.add(one, 1, 10, ago(5))

    assert bookmarks.find(one) == 11


def test_what_is_a_day_old_is_not_taken_in() -> None:
    bookmarks, one = fixed(), named()

    assert not bookmarks.add(one, 1, 10, ago(DAY_MINUTES + 1))

    assert bookmarks.find(one) is None


def test_beyond_its_room_it_forgets_the_oldest_by_their_time_though_they_come_last() -> None:
    bookmarks, ids = fixed(limit=3), [named() for _ in range(4)]
    for age, one in enumerate(ids[:3]):
        assert bookmarks.add(one, 1, 100 - age, ago(age))

    assert not bookmarks.add(ids[3], 1, 50, ago(60))

    assert [bookmarks.find(one) for one in ids] == [100, 99, 98, None]


def test_a_partition_that_is_left_is_forgotten_and_no_other() -> None:
    bookmarks, one, other = fixed(), named(), named()
    bookmarks.add(one, 1, 10, ago(5))
    bookmarks.add(other, 2, 10, ago(5))

    bookmarks.drop_partition(1)

    assert (bookmarks.find(one), bookmarks.find(other), len(bookmarks)) == (None, 10, 1)


def test_an_answer_whose_writers_clock_is_ahead_is_kept_as_one_of_now() -> None:
    bookmarks, one, other = fixed(limit=1), named(), named()
    bookmarks.add(one, 1, 10, ago(-DAY_MINUTES))

    bookmarks.add(other, 1, 11, ago(-1))

    assert len(bookmarks) <= 1


class Remembering(RuleBasedStateMachine):
    """Against a plain list of all that was put."""

    answers = Bundle("answers")
    LIMIT = 20

    @initialize()
    def begin(self) -> None:
        self.now = NOW
        self.bookmarks = AnswerIndex(self.LIMIT, clock=lambda: self.now)
        self.known: dict[str, tuple[int, int, int]] = {}
        self.overflowed = False

    @rule(target=answers, partition=st.integers(0, 2), age=st.integers(0, DAY_MINUTES + 10))
    def put(self, partition: int, age: int) -> str:
        one, offset = named(), len(self.known) + 1
        self.known[one] = (partition, offset, int((self.now - 60 * age) * 1000))
        self.bookmarks.add(one, *self.known[one])
        self.overflowed |= sum(self.young(one) for one in self.known) > self.LIMIT
        return one

    @rule(one=answers)
    def put_again(self, one: str) -> None:
        if one in self.known:
            self.bookmarks.add(one, *self.known[one])

    @rule(minutes=st.integers(1, DAY_MINUTES))
    def wait(self, minutes: int) -> None:
        self.now += 60 * minutes

    @rule(partition=st.integers(0, 2))
    def leave(self, partition: int) -> None:
        self.bookmarks.drop_partition(partition)
        self.known = {one: put for one, put in self.known.items() if put[0] != partition}

    def young(self, one: str) -> bool:
        return self.known[one][2] > (self.now - 60 * (DAY_MINUTES - 1)) * 1000

    @invariant()
    def it_stays_within_its_room(self) -> None:
        assert len(self.bookmarks) <= self.LIMIT

    @invariant()
    def it_never_tells_another_place(self) -> None:
        for one, (_, offset, _) in self.known.items():
            assert self.bookmarks.find(one) in {None, offset}

    @invariant()
    def as_long_as_there_was_room_it_has_all_of_the_day(self) -> None:
        missing = [one for one in self.known if self.young(one) and self.bookmarks.find(one) is None]
        assert self.overflowed or not missing


TestRemembering = Remembering.TestCase
