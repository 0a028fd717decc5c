from __future__ import annotations

import dataclasses
from typing import Any

import orjson
import pytest

from schemas.avro.codec import encode
from schemas.events.catalog import RequestSettled
from schemas.events.parts import Failure, Header, ReplyTo
from schemas.kafka.headers import OUTCOME, STATUS, last_value
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from schemas.openai.embedding_vectors import pack_vectors
from streams.pipeline.stage import DeadLetterError
from streams.reply.stage import ReplyStage
from tests.factories import admitted, make_request, now_ms
from tests.factories import record as record_of

DEAD_LETTER_TOPIC = "llm.outcomes.v1-dlt"
ANSWER = '{"id": "chatcmpl-1", "choices": []}'
CORRELATION = Header(name="kafka_correlationId", value=b"\xff\x00" * 8)
REPLY_TO = ReplyTo(topic="llm.replies.shop", partition=5, key=b"\xfe", correlation=(CORRELATION,))
BUSY = Failure(
    status=429, type="rate_limit_error", code="rate_limit_exceeded", message="try again later", retry_after_ms=1500
)


def answered(**request: Any) -> RequestSettled:
    return RequestSettled(
        request=make_request(**{"reply_to": REPLY_TO, **request}),
        outcome="answered",
        output=ANSWER,
        provider="sim",
        provider_model="org/echo",
        settled_at=now_ms(),
    )


def failed(failure: Failure = BUSY) -> RequestSettled:
    return RequestSettled(
        request=make_request(reply_to=REPLY_TO), outcome="failed", failure=failure, settled_at=now_ms()
    )


def embedded(question: str, *numbers: float) -> RequestSettled:
    body = {"object": "list", "data": [{"index": 0, "embedding": list(numbers)}]}
    event = answered(operation="embeddings")
    return dataclasses.replace(event, input=question, output=orjson.dumps(pack_vectors(body)).decode())


def record(event: RequestSettled, offset: int = 1) -> ConsumerRecord:
    return record_of(event, "llm.outcomes.v1", offset=offset)


def reply(event: RequestSettled) -> ProducerRecord:
    (output,) = ReplyStage(DEAD_LETTER_TOPIC).process(record(event))
    return output


def texts(output: ProducerRecord) -> dict[str, str]:
    """The headers that we originate, which are all text."""
    return {name: value.decode() for name, value in output.headers if value and name != CORRELATION.name}


def test_an_answer_goes_where_its_caller_waits_as_it_came() -> None:
    output = reply(answered())

    assert (output.topic, output.partition, output.key) == ("llm.replies.shop", 5, b"\xfe")
    assert output.value == ANSWER.encode()
    assert last_value(output.headers, CORRELATION.name) == CORRELATION.value


def test_an_answers_headers_say_how_it_went() -> None:
    event = answered()

    said = texts(reply(event))

    assert said["request_id"] == event.request.request_id
    assert (said["sluice-status"], said["sluice-outcome"], said["sluice-target"]) == ("200", "answered", "sim/org/echo")
    assert (said["content-type"], said["traceparent"]) == ("application/json", event.request.traceparent)
    assert (said["ce_type"], said["ce_id"]) == ("sluice.llm.reply.v1", f"{event.request.request_id}/reply")
    assert not {"sluice-error", "retry-after-ms"} & said.keys()


def test_no_answer_is_an_error_object_with_its_status_in_the_headers() -> None:
    output = reply(failed())

    assert orjson.loads(output.value or b"")["error"]["code"] == "rate_limit_exceeded"
    said = texts(output)
    assert (said["sluice-status"], said["sluice-outcome"]) == ("429", "failed")
    assert (said["sluice-error"], said["retry-after-ms"]) == ("rate_limit_exceeded", "1500")
    assert "sluice-target" not in said


def test_a_reply_topic_that_is_gone_costs_a_dead_letter_with_the_place_of_the_outcome() -> None:
    outcome = record(answered(), offset=7)

    (output,) = ReplyStage(DEAD_LETTER_TOPIC).process(outcome)

    assert (output.dead_letter_topic, output.source_record) == ("llm.outcomes.v1-dlt", outcome)


def test_the_callers_own_reply_header_never_comes_back() -> None:
    assert not {"kafka_replyTopic", "REPLY_TOPIC", "reply_to"} & texts(reply(answered())).keys()


def test_a_correlation_that_was_not_sent_does_not_come_back() -> None:
    output = reply(answered(reply_to=ReplyTo(topic="llm.replies.shop")))

    assert all(value is not None for _, value in output.headers)
    assert last_value(output.headers, CORRELATION.name) is None


def test_nobody_waits_and_nothing_is_written() -> None:
    assert ReplyStage(DEAD_LETTER_TOPIC).process(record(answered(reply_to=None))) == []


def test_a_request_that_was_settled_twice_is_replied_to_once() -> None:
    stage, event = ReplyStage(DEAD_LETTER_TOPIC), answered()

    first = stage.process(record(event, offset=1))
    second = stage.process(record(dataclasses.replace(event, replayed=True), offset=2))

    assert len(first) == 1
    assert second == []


def test_a_record_that_is_read_again_is_replied_to_again() -> None:
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
def test_who_asks_the_same_again_is_replied_to_again(change: dict[str, Any]) -> None:
    stage, event = ReplyStage(DEAD_LETTER_TOPIC), answered()
    again = dataclasses.replace(event, request=dataclasses.replace(event.request, **change), replayed=True)

    stage.process(record(event, offset=1))

    assert len(stage.process(record(again, offset=2))) == 1


def test_only_the_latest_replies_are_remembered() -> None:
    stage, events = ReplyStage(DEAD_LETTER_TOPIC, max_replies=2), [answered() for _ in range(3)]

    for offset, event in enumerate(events):
        stage.process(record(event, offset))

    assert [len(stage.process(record(event, 10 + offset))) for offset, event in enumerate(events[1:])] == [0, 0]
    assert len(stage.process(record(events[0], 13))) == 1


@pytest.mark.parametrize("value", [None, b"hello", encode(admitted())])
def test_what_is_no_outcome_is_a_dead_letter(value: bytes | None) -> None:
    with pytest.raises(DeadLetterError):
        ReplyStage(DEAD_LETTER_TOPIC).process(ConsumerRecord("llm.outcomes.v1", 0, 0, 0, None, value, ()))


def test_vectors_come_as_their_caller_asked_for_them() -> None:
    numbers = reply(embedded('{"input": "x"}', 0.1, 2.0))
    base64 = reply(embedded('{"input": "x", "encoding_format": "base64"}', 0.1, 2.0))

    assert orjson.loads(numbers.value or b"")["data"][0]["embedding"] == [0.1, 2.0]
    assert orjson.loads(base64.value or b"")["data"][0]["embedding"] == "zczMPQAAAEA="


def test_an_answer_that_no_reply_can_hold_written_out_is_an_error_that_says_what_to_ask_for() -> None:
    output = reply(embedded('{"input": "x"}', *[-0.123456789] * 6_000_000))

    error = orjson.loads(output.value or b"")["error"]
    assert (error["code"], error["param"]) == ("answer_too_large", "encoding_format")
    assert "base64" in error["message"]
    assert (last_value(output.headers, STATUS), last_value(output.headers, OUTCOME)) == (b"413", b"failed")
