from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from typing import Any

from connectors.kafka import BrokerUnavailableError
from schemas.events.catalog import AttemptFinished
from schemas.events.parts import Request
from schemas.events.request_id import named_request_id
from schemas.kafka.headers import FINGERPRINT
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.topics import DAY, HOUR
from streams.call.idempotency.answer_index import AnswerIndex
from streams.call.idempotency.answer_lookup import AnswerLookup
from tests.eventually import eventually
from tests.factories import make_request, now_ms, record

PARTITION = 3


def named(name: str = "order-7", **more: Any) -> Request:
    return make_request(request_id=named_request_id("acme", name), **more)


def answered(request: Request, offset: int = 7, age_ms: int = 0, asked: str = "0123", **more: Any) -> ConsumerRecord:
    event = AttemptFinished(
        request=request,
        attempt=2,
        provider="sim",
        model="echo",
        worker="w",
        started_at=1,
        finished_at=2,
        body='{"id": "paid"}',
        **more,
    )
    return dataclasses.replace(
        record(event, "llm.attempts.v1", PARTITION, offset),
        key=request.request_id.encode(),
        headers=((FINGERPRINT, asked.encode()),) if asked else (),
        timestamp_ms=now_ms() - age_ms,
    )


class Shelf:
    """A topic of one partition that is looked back through when it is let."""

    def __init__(self, *records: ConsumerRecord) -> None:
        self.records = {record.offset: record for record in records}
        self.let = asyncio.Event()
        self.away = 0
        self.reads = 0
        self.looked: list[ConsumerRecord] = []
        self.stopped = 0

    async def read(self, partition: int, offset: int) -> ConsumerRecord | None:
        assert partition == PARTITION
        self.reads += 1
        self._fail()
        return self.records.get(offset)

    async def read_backwards(
        self, partition: int, since_ms: int, until_ms: int
    ) -> AsyncGenerator[list[ConsumerRecord]]:
        assert partition == PARTITION
        await self.let.wait()
        self._fail()
        for record_ in sorted(self.records.values(), key=lambda each: -each.timestamp_ms):
            if since_ms <= record_.timestamp_ms < until_ms:
                self.looked.append(record_)
                yield [record_]

    async def stop(self) -> None:
        self.stopped += 1

    def _fail(self) -> None:
        if self.away:
            self.away -= 1
            raise BrokerUnavailableError("away")


def recall_of(shelf: Shelf, **more: Any) -> AnswerLookup:
    return AnswerLookup(lambda: shelf, **more)


async def test_an_answer_that_was_seen_is_read_again_where_it_stands() -> None:
    request = named()
    shelf = Shelf(answered(request))
    recall = recall_of(shelf)
    recall.observe(shelf.records[7])

    end = await recall.find(request, PARTITION)

    assert end is not None
    assert (end.outcome, end.fingerprint, end.attempts[-1].body) == ("answered", "0123", '{"id": "paid"}')
    assert shelf.reads == 1


async def test_what_no_caller_named_is_neither_kept_nor_looked_for() -> None:
    request = make_request()
    shelf, bookmarks = Shelf(answered(request)), AnswerIndex()
    recall = recall_of(shelf, bookmarks=bookmarks)
    recall.observe(shelf.records[7])
    recall.index_partition(PARTITION, now_ms())

    assert await recall.find(request, PARTITION) is None

    assert (len(bookmarks), shelf.reads) == (0, 0)
    await recall.stop()


async def test_what_is_no_answer_is_not_kept() -> None:
    bookmarks = AnswerIndex()

    recall_of(Shelf(), bookmarks=bookmarks).observe(answered(named(), asked="", error_type="server"))

    assert len(bookmarks) == 0


async def test_a_repeat_waits_for_the_look_back_through_its_partition() -> None:
    request = named()
    shelf = Shelf(answered(request, age_ms=5 * HOUR))
    recall = recall_of(shelf)
    recall.index_partition(PARTITION, now_ms())
    waiting = asyncio.create_task(recall.find(request, PARTITION))
    await asyncio.sleep(0)
    assert not waiting.done()

    shelf.let.set()

    assert (await waiting) is not None


async def test_one_that_had_no_answer_is_fresh_when_the_look_back_is_over() -> None:
    shelf = Shelf(answered(named("another"), age_ms=HOUR))
    recall = recall_of(shelf)
    recall.index_partition(PARTITION, now_ms())
    shelf.let.set()

    assert await recall.find(named(), PARTITION) is None

    assert len(shelf.looked) == 1


async def test_a_look_back_that_takes_too_long_is_not_waited_for() -> None:
    shelf = Shelf()
    recall = recall_of(shelf, wait_s=0.01)
    recall.index_partition(PARTITION, now_ms())

    assert await recall.find(named(), PARTITION) is None

    await recall.stop()


async def test_at_least_half_of_its_time_is_left_to_a_request_for_being_called() -> None:
    request = named(deadline_at=now_ms() + 1000)
    recall = recall_of(Shelf())
    recall.index_partition(PARTITION, now_ms())

    assert await recall.find(request, PARTITION) is None

    assert now_ms() < request.deadline_at
    await recall.stop()


async def test_an_answer_that_retention_has_deleted_is_none() -> None:
    request = named()
    recall = recall_of(Shelf())
    recall.observe(answered(request))

    assert await recall.find(request, PARTITION) is None


async def test_an_answer_of_another_request_or_no_answer_at_its_place_is_none() -> None:
    request = named()
    for found in (
        answered(named("another")),
        answered(request, error_type="server"),
        dataclasses.replace(answered(request), value=b"x"),
    ):
        recall = recall_of(Shelf(found))
        recall.observe(answered(request))

        assert await recall.find(request, PARTITION) is None


async def test_an_answer_is_remembered_for_a_day() -> None:
    request, ahead_s = named(deadline_at=now_ms() + 2 * DAY), 0.0
    shelf = Shelf(answered(request))
    recall = recall_of(shelf, clock=lambda: now_ms() / 1000 + ahead_s)
    recall.observe(shelf.records[7])

    ahead_s = DAY / 1000 - 60
    before = await recall.find(request, PARTITION)
    ahead_s = DAY / 1000 + 60
    after = await recall.find(request, PARTITION)

    assert before is not None
    assert after is None


async def test_while_kafka_is_away_a_known_answer_is_waited_for_rather_than_paid_again() -> None:
    request = named()
    shelf = Shelf(answered(request))
    shelf.away = 1
    recall = recall_of(shelf)
    recall.observe(shelf.records[7])

    assert await recall.find(request, PARTITION) is not None

    assert shelf.reads == 2


async def test_a_look_back_that_kafka_interrupts_is_begun_again() -> None:
    request = named()
    shelf = Shelf(answered(request, age_ms=HOUR))
    shelf.away = 1
    shelf.let.set()
    recall = recall_of(shelf)

    recall.index_partition(PARTITION, now_ms())

    assert await recall.find(request, PARTITION) is not None
    await recall.stop()


async def test_a_partition_that_is_left_is_not_looked_through_and_nobody_waits_for_it() -> None:
    request = named()
    shelf = Shelf(answered(request, age_ms=HOUR))
    recall = recall_of(shelf)
    recall.index_partition(PARTITION, now_ms())
    waiting = asyncio.create_task(recall.find(request, PARTITION))
    await asyncio.sleep(0)

    recall.forget(PARTITION)

    assert await waiting is None
    assert shelf.looked == []


async def test_it_looks_no_further_back_than_there_is_room() -> None:
    kept = [answered(named(str(age)), offset=100 - age, age_ms=age * HOUR) for age in range(1, 10)]
    shelf, bookmarks = Shelf(*kept), AnswerIndex(limit=3)
    shelf.let.set()
    recall = recall_of(shelf, bookmarks=bookmarks)

    recall.index_partition(PARTITION, now_ms())
    await eventually(lambda: shelf.stopped == 1)

    assert [each.offset for each in shelf.looked] == [99, 98, 97, 96]
    assert len(bookmarks) == 3


async def test_a_stopped_one_leaves_no_task_and_no_connection() -> None:
    shelf = Shelf()
    before = asyncio.all_tasks()
    recall = recall_of(shelf)
    recall.index_partition(PARTITION, now_ms())
    await asyncio.sleep(0)

    await recall.stop()

    assert asyncio.all_tasks() == before
    assert shelf.stopped == 2
