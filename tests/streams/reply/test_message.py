from __future__ import annotations

import dataclasses
from typing import Any

import orjson

from schemas.events.catalog import RequestSettled
from schemas.events.parts import Failure, Header, ReplyTo
from schemas.kafka.headers import OUTCOME, STATUS, last_value
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from schemas.openai.embedding_vectors import pack_vectors
from streams.reply.stage import ReplyStage
from tests.factories import make_request, now_ms
from tests.factories import record as record_of

BUSY = Failure(
    status=429, type="rate_limit_error", code="rate_limit_exceeded", message="try again later", retry_after_ms=1500
)


def failed(failure: Failure = BUSY) -> RequestSettled:
    return RequestSettled(
        request=make_request(reply_to=REPLY_TO), outcome="failed", failure=failure, settled_at=now_ms()
    )


def embedded(question: str, *numbers: float) -> RequestSettled:
    body = {"object": "list", "data": [{"index": 0, "embedding": list(numbers)}]}
    event = answered(operation="embeddings")
    return dataclasses.replace(event, input=question, output=orjson.dumps(pack_vectors(body)).decode())


def reply(event: RequestSettled) -> ProducerRecord:
    (output,) = ReplyStage(DEAD_LETTER_TOPIC).process(record(event))
    return output


def texts(output: ProducerRecord) -> dict[str, str]:
    """Return the headers other than the correlation, which are all text."""
    return {name: value.decode() for name, value in output.headers if value and name != CORRELATION.name}


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


def test_answer_is_sent_unchanged_to_the_reply_address() -> None:
    output = reply(answered())

    assert (output.topic, output.partition, output.key) == ("llm.replies.shop", 5, b"\xfe")
    assert output.value == ANSWER.encode()
    assert last_value(output.headers, CORRELATION.name) == CORRELATION.value


def test_answer_has_status_and_target_headers() -> None:
    event = answered()

    text_headers = texts(reply(event))

    assert text_headers["request_id"] == event.request.request_id
    assert (text_headers["sluice-status"], text_headers["sluice-outcome"], text_headers["sluice-target"]) == (
        "200",
        "answered",
        "sim/org/echo",
    )
    assert (text_headers["content-type"], text_headers["traceparent"]) == (
        "application/json",
        event.request.traceparent,
    )
    assert (text_headers["ce_type"], text_headers["ce_id"]) == (
        "sluice.llm.reply.v1",
        f"{event.request.request_id}/reply",
    )
    assert not {"sluice-error", "retry-after-ms"} & text_headers.keys()


def test_failure_is_an_error_object_with_status_headers() -> None:
    output = reply(failed())

    assert orjson.loads(output.value or b"")["error"]["code"] == "rate_limit_exceeded"
    text_headers = texts(output)
    assert (text_headers["sluice-status"], text_headers["sluice-outcome"]) == ("429", "failed")
    assert (text_headers["sluice-error"], text_headers["retry-after-ms"]) == ("rate_limit_exceeded", "1500")
    assert "sluice-target" not in text_headers


def test_reply_names_dead_letter_topic_and_source_record() -> None:
    outcome = record(answered(), offset=7)

    (output,) = ReplyStage(DEAD_LETTER_TOPIC).process(outcome)

    assert (output.dead_letter_topic, output.source_record) == ("llm.outcomes.v1-dlt", outcome)


def test_reply_does_not_repeat_the_reply_topic_header() -> None:
    assert not {"kafka_replyTopic", "REPLY_TOPIC", "reply_to"} & texts(reply(answered())).keys()


def test_reply_without_correlation_has_no_correlation_header() -> None:
    output = reply(answered(reply_to=ReplyTo(topic="llm.replies.shop")))

    assert all(value is not None for _, value in output.headers)
    assert last_value(output.headers, CORRELATION.name) is None


def test_embeddings_have_the_requested_encoding() -> None:
    numbers = reply(embedded('{"input": "x"}', 0.1, 2.0))
    base64 = reply(embedded('{"input": "x", "encoding_format": "base64"}', 0.1, 2.0))

    assert orjson.loads(numbers.value or b"")["data"][0]["embedding"] == [0.1, 2.0]
    assert orjson.loads(base64.value or b"")["data"][0]["embedding"] == "zczMPQAAAEA="


def test_embeddings_too_large_as_numbers_fail_with_a_hint_at_base64() -> None:
    output = reply(embedded('{"input": "x"}', *[-0.123456789] * 6_000_000))

    error = orjson.loads(output.value or b"")["error"]
    assert (error["code"], error["param"]) == ("answer_too_large", "encoding_format")
    assert "base64" in error["message"]
    assert (last_value(output.headers, STATUS), last_value(output.headers, OUTCOME)) == (b"413", b"failed")
