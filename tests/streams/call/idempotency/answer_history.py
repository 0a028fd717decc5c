"""Answered attempts and an in-memory history of their topic, for the tests of the idempotency package."""

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
from tests.factories import make_request, now_ms, record

PARTITION = 3


def named_request(name: str = "order-7", **more: Any) -> Request:
    """Return a request with an idempotency key."""
    return make_request(request_id=named_request_id("acme", name), **more)


def answer_record(
    request: Request, offset: int = 7, age_ms: int = 0, fingerprint: str = "0123", **more: Any
) -> ConsumerRecord:
    """Return the record of an attempt that answered the request, of ``age_ms`` ago."""
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
        headers=((FINGERPRINT, fingerprint.encode()),) if fingerprint else (),
        timestamp_ms=now_ms() - age_ms,
    )


class FakeTopicHistory:
    """In-memory ``TopicHistory`` of one partition; backward reads wait until ``released`` is set.

    The next ``failures_left`` reads raise ``BrokerUnavailableError``.
    """

    def __init__(self, *records: ConsumerRecord) -> None:
        self.records = {record.offset: record for record in records}
        self.released = asyncio.Event()
        self.failures_left = 0
        self.reads = 0
        self.records_read: list[ConsumerRecord] = []
        self.stops = 0

    async def read(self, partition: int, offset: int) -> ConsumerRecord | None:
        assert partition == PARTITION
        self.reads += 1
        self._fail()
        return self.records.get(offset)

    async def read_backwards(
        self, partition: int, since_ms: int, until_ms: int
    ) -> AsyncGenerator[list[ConsumerRecord]]:
        assert partition == PARTITION
        await self.released.wait()
        self._fail()
        for record_ in sorted(self.records.values(), key=lambda each: -each.timestamp_ms):
            if since_ms <= record_.timestamp_ms < until_ms:
                self.records_read.append(record_)
                yield [record_]

    async def stop(self) -> None:
        self.stops += 1

    def _fail(self) -> None:
        if self.failures_left:
            self.failures_left -= 1
            raise BrokerUnavailableError("unavailable")
