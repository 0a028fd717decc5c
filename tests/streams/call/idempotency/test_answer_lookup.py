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


def make_lookup(history: FakeTopicHistory, **more: Any) -> AnswerLookup:
    return AnswerLookup(lambda: history, **more)


async def test_find_reads_an_observed_answer_from_the_log() -> None:
    request = named_request()
    history = FakeTopicHistory(answer_record(request))
    lookup = make_lookup(history)
    lookup.observe(history.records[7])

    end = await lookup.find(request, PARTITION)

    assert end is not None
    assert (end.outcome, end.fingerprint, end.attempts[-1].body) == ("answered", "0123", '{"id": "paid"}')
    assert history.reads == 1


async def test_unnamed_request_is_neither_indexed_nor_looked_up() -> None:
    request = make_request()
    history, index = FakeTopicHistory(answer_record(request)), AnswerIndex()
    lookup = make_lookup(history, index=index)
    lookup.observe(history.records[7])
    lookup.index_partition(PARTITION, now_ms())

    assert await lookup.find(request, PARTITION) is None

    assert (len(index), history.reads) == (0, 0)
    await lookup.stop()


async def test_failed_attempt_is_not_indexed() -> None:
    index = AnswerIndex()

    make_lookup(FakeTopicHistory(), index=index).observe(
        answer_record(named_request(), fingerprint="", error_type="server")
    )

    assert len(index) == 0


async def test_find_waits_for_the_scan_of_the_partition() -> None:
    request = named_request()
    history = FakeTopicHistory(answer_record(request, age_ms=5 * HOUR))
    lookup = make_lookup(history)
    lookup.index_partition(PARTITION, now_ms())
    waiting = asyncio.create_task(lookup.find(request, PARTITION))
    await asyncio.sleep(0)
    assert not waiting.done()

    history.released.set()

    assert (await waiting) is not None


async def test_find_returns_none_after_a_scan_without_the_answer() -> None:
    history = FakeTopicHistory(answer_record(named_request("another"), age_ms=HOUR))
    lookup = make_lookup(history)
    lookup.index_partition(PARTITION, now_ms())
    history.released.set()

    assert await lookup.find(named_request(), PARTITION) is None

    assert len(history.records_read) == 1


async def test_find_waits_at_most_max_scan_wait() -> None:
    history = FakeTopicHistory()
    lookup = make_lookup(history, max_scan_wait_s=0.01)
    lookup.index_partition(PARTITION, now_ms())

    assert await lookup.find(named_request(), PARTITION) is None

    await lookup.stop()


async def test_find_waits_at_most_half_of_the_remaining_time() -> None:
    request = named_request(deadline_at=now_ms() + 1000)
    lookup = make_lookup(FakeTopicHistory())
    lookup.index_partition(PARTITION, now_ms())

    assert await lookup.find(request, PARTITION) is None

    assert now_ms() < request.deadline_at
    await lookup.stop()


async def test_find_returns_none_for_a_deleted_answer() -> None:
    request = named_request()
    lookup = make_lookup(FakeTopicHistory())
    lookup.observe(answer_record(request))

    assert await lookup.find(request, PARTITION) is None


async def test_find_returns_none_if_the_record_is_not_the_answer() -> None:
    request = named_request()
    for found in (
        answer_record(named_request("another")),
        answer_record(request, error_type="server"),
        dataclasses.replace(answer_record(request), value=b"x"),
    ):
        lookup = make_lookup(FakeTopicHistory(found))
        lookup.observe(answer_record(request))

        assert await lookup.find(request, PARTITION) is None


async def test_answer_is_found_for_a_day() -> None:
    request, ahead_s = named_request(deadline_at=now_ms() + 2 * DAY), 0.0
    history = FakeTopicHistory(answer_record(request))
    lookup = make_lookup(history, clock=lambda: now_ms() / 1000 + ahead_s)
    lookup.observe(history.records[7])

    ahead_s = DAY / 1000 - 60
    before = await lookup.find(request, PARTITION)
    ahead_s = DAY / 1000 + 60
    after = await lookup.find(request, PARTITION)

    assert before is not None
    assert after is None


async def test_find_retries_a_known_answer_while_kafka_is_unavailable() -> None:
    request = named_request()
    history = FakeTopicHistory(answer_record(request))
    history.failures_left = 1
    lookup = make_lookup(history)
    lookup.observe(history.records[7])

    assert await lookup.find(request, PARTITION) is not None

    assert history.reads == 2


async def test_interrupted_scan_is_retried() -> None:
    request = named_request()
    history = FakeTopicHistory(answer_record(request, age_ms=HOUR))
    history.failures_left = 1
    history.released.set()
    lookup = make_lookup(history)

    lookup.index_partition(PARTITION, now_ms())

    assert await lookup.find(request, PARTITION) is not None
    await lookup.stop()


async def test_forget_stops_the_scan_and_its_waiters() -> None:
    request = named_request()
    history = FakeTopicHistory(answer_record(request, age_ms=HOUR))
    lookup = make_lookup(history)
    lookup.index_partition(PARTITION, now_ms())
    waiting = asyncio.create_task(lookup.find(request, PARTITION))
    await asyncio.sleep(0)

    lookup.forget(PARTITION)

    assert await waiting is None
    assert history.records_read == []


async def test_scan_stops_when_the_index_is_full() -> None:
    kept = [answer_record(named_request(str(age)), offset=100 - age, age_ms=age * HOUR) for age in range(1, 10)]
    history, index = FakeTopicHistory(*kept), AnswerIndex(max_entries=3)
    history.released.set()
    lookup = make_lookup(history, index=index)

    lookup.index_partition(PARTITION, now_ms())
    await eventually(lambda: history.stops == 1)

    assert [each.offset for each in history.records_read] == [99, 98, 97, 96]
    assert len(index) == 3


async def test_stop_leaves_no_task_and_no_connection() -> None:
    history = FakeTopicHistory()
    before = asyncio.all_tasks()
    lookup = make_lookup(history)
    lookup.index_partition(PARTITION, now_ms())
    await asyncio.sleep(0)

    await lookup.stop()

    assert asyncio.all_tasks() == before
    assert history.stops == 2
