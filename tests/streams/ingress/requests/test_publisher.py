from __future__ import annotations

import inspect
from dataclasses import replace

import pytest

from connectors.kafka import BrokerUnavailableError, KafkaFaultError, KafkaProducer, PartitionReader
from schemas.avro.codec import encode
from schemas.events.catalog import RequestReceived
from schemas.kafka.records import ProducerRecord
from streams.ingress.replies.reader import ReplySource
from streams.ingress.requests import publisher as log
from streams.ingress.requests.publisher import FailFastPublisher, PublisherUnavailableError, RequestPublisher
from tests.fixtures.rows import REQUEST
from tests.streams.ingress.fake_log import FakeLog

OUTPUT = ProducerRecord("llm.requests.v1", b"k", encode(RequestReceived(request=REQUEST, body=b"{}")), ())


@pytest.mark.parametrize("end", [KafkaProducer("nowhere:1"), FakeLog(), FailFastPublisher(FakeLog())])
def test_producer_and_fake_have_the_publishers_interface(end: RequestPublisher) -> None:
    assert inspect.iscoroutinefunction(end.send)
    assert list(inspect.signature(end.send).parameters) == ["output"]


@pytest.mark.parametrize("end", [PartitionReader("nowhere:1", []), FakeLog()])
def test_reader_and_fake_yield_lists(end: ReplySource) -> None:
    assert inspect.isasyncgenfunction(end.__aiter__)


async def test_publisher_fails_fast_while_nothing_is_acknowledged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    away = FakeLog(answers=lambda _: None, available=False)
    guarded = FailFastPublisher(away)
    monkeypatch.setattr(log, "RETRY_INTERVAL_S", 3600.0)

    for refused in (
        BrokerUnavailableError,
        BrokerUnavailableError,
        PublisherUnavailableError,
        PublisherUnavailableError,
    ):
        with pytest.raises(refused) as caught:
            await guarded.send(OUTPUT)
        assert type(caught.value) is refused

    monkeypatch.setattr(log, "RETRY_INTERVAL_S", 0.0)
    away.available = True
    await guarded.send(OUTPUT)
    monkeypatch.setattr(log, "RETRY_INTERVAL_S", 3600.0)
    await guarded.send(OUTPUT)
    assert len(away.written) == 2


async def test_rejected_record_does_not_mark_the_broker_as_failing() -> None:
    class Strict(FakeLog):
        async def send(self, output: ProducerRecord) -> None:
            if output.topic == "missing":
                raise KafkaFaultError("no such topic")
            await super().send(output)

    guarded = FailFastPublisher(Strict(answers=lambda _: None))
    with pytest.raises(KafkaFaultError):
        await guarded.send(replace(OUTPUT, topic="missing"))

    await guarded.send(OUTPUT)
