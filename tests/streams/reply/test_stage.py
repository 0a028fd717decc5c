from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from schemas.avro.codec import encode
from schemas.events.catalog import RequestSettled
from schemas.events.parts import Header, ReplyTo
from schemas.kafka.records import ConsumerRecord
from streams.pipeline.stage import DeadLetterError
from streams.reply.stage import ReplyStage
from tests.factories import admitted, make_request, now_ms
from tests.factories import record as record_of

DEAD_LETTER_TOPIC = "llm.outcomes.v1-dlt"
ANSWER = '{"id": "chatcmpl-1", "choices": []}'
CORRELATION = Header(name="kafka_correlationId", value=b"\xff\x00" * 8)
REPLY_TO = ReplyTo(topic="llm.replies.shop", partition=5, key=b"\xfe", correlation=(CORRELATION,))


def answered(**request: Any) -> RequestSettled:
    return RequestSettled(
        request=make_request(**{"reply_to": REPLY_TO, **request}),
        outcome="answered",
        output=ANSWER,
        provider="sim",
        provider_model="org/echo",
        settled_at=now_ms(),
    )


def record(event: RequestSettled, offset: int = 1) -> ConsumerRecord:
    return record_of(event, "llm.outcomes.v1", offset=offset)


def test_outcome_without_a_reply_address_gets_no_reply() -> None:
    assert ReplyStage(DEAD_LETTER_TOPIC).process(record(answered(reply_to=None))) == []


def test_request_settled_twice_gets_one_reply() -> None:
    stage, event = ReplyStage(DEAD_LETTER_TOPIC), answered()

    first = stage.process(record(event, offset=1))
    second = stage.process(record(dataclasses.replace(event, replayed=True), offset=2))

    assert len(first) == 1
    assert second == []


def test_redelivered_outcome_is_replied_to_again() -> None:
    stage, event = ReplyStage(DEAD_LETTER_TOPIC), answered()

    assert len(stage.process(record(event, offset=1))) == len(stage.process(record(event, offset=1))) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"received_at": 5},
        {"reply_to": dataclasses.replace(REPLY_TO, correlation=(Header(name="correlation-id", value=b"2"),))},
        {"reply_to": dataclasses.replace(REPLY_TO, partition=6)},
    ],
)
def test_client_retry_gets_a_reply_of_its_own(change: dict[str, Any]) -> None:
    stage, event = ReplyStage(DEAD_LETTER_TOPIC), answered()
    again = dataclasses.replace(event, request=dataclasses.replace(event.request, **change), replayed=True)

    stage.process(record(event, offset=1))

    assert len(stage.process(record(again, offset=2))) == 1


def test_stage_remembers_max_replies() -> None:
    stage, events = ReplyStage(DEAD_LETTER_TOPIC, max_replies=2), [answered() for _ in range(3)]

    for offset, event in enumerate(events):
        stage.process(record(event, offset))

    assert [len(stage.process(record(event, 10 + offset))) for offset, event in enumerate(events[1:])] == [0, 0]
    assert len(stage.process(record(events[0], 13))) == 1


@pytest.mark.parametrize("value", [None, b"hello", encode(admitted())])
def test_record_that_is_not_an_outcome_is_a_dead_letter(value: bytes | None) -> None:
    with pytest.raises(DeadLetterError):
        ReplyStage(DEAD_LETTER_TOPIC).process(ConsumerRecord("llm.outcomes.v1", 0, 0, 0, None, value, ()))
