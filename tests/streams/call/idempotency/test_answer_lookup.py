from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from schemas.kafka.topics import DAY, HOUR
from streams.call.idempotency.answer_index import AnswerIndex
from streams.call.idempotency.answer_lookup import AnswerLookup
from tests.eventually import eventually
from tests.factories import make_request, now_ms
from tests.streams.call.idempotency.answer_history import PARTITION, FakeTopicHistory, answer_record, named_request


def recall_of(history: FakeTopicHistory, **more: Any) -> AnswerLookup:
    return AnswerLookup(lambda: history, **more)


async def test_an_answer_that_was_seen_is_read_again_where_it_stands() -> None:
    request = named_request()
    history = FakeTopicHistory(answer_record(request))
    recall = recall_of(history)
    recall.observe(history.records[7])

    end = await recall.find(request, PARTITION)

    assert end is not None
    assert (end.outcome, end.fingerprint, end.attempts[-1].body) == ("answered", "0123", '{"id": "paid"}')
    assert history.reads == 1


async def test_what_no_caller_named_is_neither_kept_nor_looked_for() -> None:
    request = make_request()
    history, bookmarks = FakeTopicHistory(answer_record(request)), AnswerIndex()
    recall = recall_of(history, index=bookmarks)
    recall.observe(history.records[7])
    recall.index_partition(PARTITION, now_ms())

    assert await recall.find(request, PARTITION) is None

    assert (len(bookmarks), history.reads) == (0, 0)
    await recall.stop()


async def test_what_is_no_answer_is_not_kept() -> None:
    bookmarks = AnswerIndex()

    recall_of(FakeTopicHistory(), index=bookmarks).observe(
        answer_record(named_request(), fingerprint="", error_type="server")
    )

    assert len(bookmarks) == 0


async def test_a_repeat_waits_for_the_look_back_through_its_partition() -> None:
    request = named_request()
    history = FakeTopicHistory(answer_record(request, age_ms=5 * HOUR))
    recall = recall_of(history)
    recall.index_partition(PARTITION, now_ms())
    waiting = asyncio.create_task(recall.find(request, PARTITION))
    await asyncio.sleep(0)
    assert not waiting.done()

    history.released.set()

    assert (await waiting) is not None


async def test_one_that_had_no_answer_is_fresh_when_the_look_back_is_over() -> None:
    history = FakeTopicHistory(answer_record(named_request("another"), age_ms=HOUR))
    recall = recall_of(history)
    recall.index_partition(PARTITION, now_ms())
    history.released.set()

    assert await recall.find(named_request(), PARTITION) is None

    assert len(history.records_read) == 1


async def test_a_look_back_that_takes_too_long_is_not_waited_for() -> None:
    history = FakeTopicHistory()
    recall = recall_of(history, max_scan_wait_s=0.01)
    recall.index_partition(PARTITION, now_ms())

    assert await recall.find(named_request(), PARTITION) is None

    await recall.stop()


async def test_at_least_half_of_its_time_is_left_to_a_request_for_being_called() -> None:
    request = named_request(deadline_at=now_ms() + 1000)
    recall = recall_of(FakeTopicHistory())
    recall.index_partition(PARTITION, now_ms())

    assert await recall.find(request, PARTITION) is None

    assert now_ms() < request.deadline_at
    await recall.stop()


async def test_an_answer_that_retention_has_deleted_is_none() -> None:
    request = named_request()
    recall = recall_of(FakeTopicHistory())
    recall.observe(answer_record(request))

    assert await recall.find(request, PARTITION) is None


async def test_an_answer_of_another_request_or_no_answer_at_its_place_is_none() -> None:
    request = named_request()
    for found in (
        answer_record(named_request("another")),
        answer_record(request, error_type="server"),
        dataclasses.replace(answer_record(request), value=b"x"),
    ):
        recall = recall_of(FakeTopicHistory(found))
        recall.observe(answer_record(request))

        assert await recall.find(request, PARTITION) is None


async def test_an_answer_is_remembered_for_a_day() -> None:
    request, ahead_s = named_request(deadline_at=now_ms() + 2 * DAY), 0.0
    history = FakeTopicHistory(answer_record(request))
    recall = recall_of(history, clock=lambda: now_ms() / 1000 + ahead_s)
    recall.observe(history.records[7])

    ahead_s = DAY / 1000 - 60
    before = await recall.find(request, PARTITION)
    ahead_s = DAY / 1000 + 60
    after = await recall.find(request, PARTITION)

    assert before is not None
    assert after is None


async def test_while_kafka_is_away_a_known_answer_is_waited_for_rather_than_paid_again() -> None:
    request = named_request()
    history = FakeTopicHistory(answer_record(request))
    history.failures_left = 1
    recall = recall_of(history)
    recall.observe(history.records[7])

    assert await recall.find(request, PARTITION) is not None

    assert history.reads == 2


async def test_a_look_back_that_kafka_interrupts_is_begun_again() -> None:
    request = named_request()
    history = FakeTopicHistory(answer_record(request, age_ms=HOUR))
    history.failures_left = 1
    history.released.set()
    recall = recall_of(history)

    recall.index_partition(PARTITION, now_ms())

    assert await recall.find(request, PARTITION) is not None
    await recall.stop()


async def test_a_partition_that_is_left_is_not_looked_through_and_nobody_waits_for_it() -> None:
    request = named_request()
    history = FakeTopicHistory(answer_record(request, age_ms=HOUR))
    recall = recall_of(history)
    recall.index_partition(PARTITION, now_ms())
    waiting = asyncio.create_task(recall.find(request, PARTITION))
    await asyncio.sleep(0)

    recall.forget(PARTITION)

    assert await waiting is None
    assert history.records_read == []


async def test_it_looks_no_further_back_than_there_is_room() -> None:
    kept = [answer_record(named_request(str(age)), offset=100 - age, age_ms=age * HOUR) for age in range(1, 10)]
    history, bookmarks = FakeTopicHistory(*kept), AnswerIndex(max_entries=3)
    history.released.set()
    recall = recall_of(history, index=bookmarks)

    recall.index_partition(PARTITION, now_ms())
    await eventually(lambda: history.stops == 1)

    assert [each.offset for each in history.records_read] == [99, 98, 97, 96]
    assert len(bookmarks) == 3


async def test_a_stopped_one_leaves_no_task_and_no_connection() -> None:
    history = FakeTopicHistory()
    before = asyncio.all_tasks()
    recall = recall_of(history)
    recall.index_partition(PARTITION, now_ms())
    await asyncio.sleep(0)

    await recall.stop()

    assert asyncio.all_tasks() == before
    assert history.stops == 2
