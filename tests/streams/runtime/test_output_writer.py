from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import pytest
import structlog.testing
from aiokafka.errors import MessageSizeTooLargeError

from schemas.kafka.headers import last_value
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.pipeline.stage import DeadLetterError
from streams.runtime import output_writer as outbox
from streams.runtime.driver import KafkaError, NoSuchTopicError, TooLargeError
from streams.runtime.output_writer import OutputWriter

SECRET = "a very secret word"


class Broker:
    """Acknowledges what is written, after the faults that it was given: while handing over, or in the answer."""

    def __init__(self, *, handing: tuple[Exception, ...] = (), answering: tuple[Exception, ...] = ()) -> None:
        self._handing = list(handing)
        self._answering = list(answering)
        self.tried: list[ProducerRecord] = []
        self.log: list[ProducerRecord] = []

    async def write(self, output: ProducerRecord) -> Awaitable[object]:
        self.tried.append(output)
        if self._handing:
            raise self._handing.pop(0)
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._answering:
            answer.set_exception(self._answering.pop(0))
        else:
            self.log.append(output)
            answer.set_result(None)
        return answer

    @property
    def outbox(self) -> OutputWriter:
        return OutputWriter(self.write, "reply", "llm.reply", lambda _: None)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "RETRY_BACKOFF_S", (0.0, 0.001))


OURS = ProducerRecord("llm.routed.v1", b"k", b"v")
THEIRS = ProducerRecord("llm.replies.shop", b"k", b"v", (("trace", b"1"),), dead_letter_topic="llm.outcomes.v1-dlt")


async def test_what_is_acknowledged_is_written_once() -> None:
    broker = Broker()

    await broker.outbox.send_and_wait(OURS)

    assert broker.tried == broker.log == [OURS]


@pytest.mark.parametrize("where", ["handing", "answering"])
async def test_a_write_that_fails_is_repeated_until_it_is_on_the_log(where: str) -> None:
    faults = tuple(KafkaError() for _ in range(5))
    broker = Broker(handing=faults) if where == "handing" else Broker(answering=faults)

    await broker.outbox.send_and_wait(OURS)

    assert len(broker.tried) == 6
    assert broker.log == [OURS]


async def test_a_record_that_nobody_wants_any_more_is_not_tried_again() -> None:
    broker = Broker(answering=(KafkaError(),))
    box = broker.outbox

    await asyncio.wait_for(box.send_until_acked(OURS, await box.send(OURS), wanted=lambda: False), 5)

    assert broker.tried == [OURS]


async def test_a_callers_topic_that_does_not_exist_costs_a_dead_letter() -> None:
    broker = Broker(handing=(NoSuchTopicError("llm.replies.shop does not exist"),))

    await broker.outbox.send_and_wait(THEIRS)

    (letter,) = broker.log
    assert (letter.topic, letter.key, letter.value) == ("llm.outcomes.v1-dlt", b"k", b"v")
    assert last_value(letter.headers, "trace") == b"1"
    assert last_value(letter.headers, "kafka_dlt-original-topic") == b"llm.replies.shop"
    assert last_value(letter.headers, "__connect.errors.exception.message") == b"llm.replies.shop does not exist"


async def test_a_callers_topic_that_refuses_the_record_costs_a_dead_letter_too() -> None:
    broker = Broker(answering=(MessageSizeTooLargeError(SECRET),))

    await asyncio.wait_for(broker.outbox.send_and_wait(THEIRS), 5)

    (letter,) = broker.log
    assert letter.topic == "llm.outcomes.v1-dlt"
    assert SECRET not in str(letter)


@pytest.mark.parametrize("error", [(), (MessageSizeTooLargeError(),)])
async def test_the_dead_letter_of_a_chunk_tells_the_place_of_the_record_that_is_worked_on(
    error: tuple[Any, ...],
) -> None:
    routed = ConsumerRecord("llm.routed.v1", 2, 9, 1_790_000_000_000, b"k", b"a plan", ())
    missing = () if error else (NoSuchTopicError("llm.replies.shop does not exist"),)
    broker = Broker(handing=missing, answering=error)

    await asyncio.wait_for(broker.outbox.send_and_wait(THEIRS, routed), 5)

    (letter,) = broker.log
    assert last_value(letter.headers, "__connect.errors.topic") == b"llm.routed.v1"
    assert last_value(letter.headers, "__connect.errors.offset") == b"9"


@pytest.mark.parametrize("where", ["handing", "answering"])
async def test_the_dead_letter_of_a_reply_tells_the_place_of_the_record_that_it_answers(where: str) -> None:
    settled = ConsumerRecord("llm.outcomes.v1", 3, 7, 1_790_000_000_000, b"k", b"an outcome", ())
    answer = replace(THEIRS, partition=5, source_record=settled)
    broker = (
        Broker(handing=(NoSuchTopicError("llm.replies.shop[5] does not exist"),))
        if where == "handing"
        else Broker(answering=(MessageSizeTooLargeError(),))
    )

    await asyncio.wait_for(broker.outbox.send_and_wait(answer), 5)

    (letter,) = broker.log
    assert (letter.topic, letter.partition, letter.value) == ("llm.outcomes.v1-dlt", 3, b"v")
    assert last_value(letter.headers, "__connect.errors.topic") == b"llm.outcomes.v1"
    assert last_value(letter.headers, "__connect.errors.partition") == b"3"
    assert last_value(letter.headers, "__connect.errors.offset") == b"7"
    assert last_value(letter.headers, "kafka_dlt-original-timestamp") == (1_790_000_000_000).to_bytes(8, "big")
    assert b"llm.replies.shop" in (last_value(letter.headers, "kafka_dlt-exception-message") or b"")


async def test_a_topic_of_ours_that_is_missing_is_waited_for() -> None:
    broker = Broker(handing=(NoSuchTopicError("llm.routed.v1 does not exist"),))

    with structlog.testing.capture_logs() as lines:
        await broker.outbox.send_and_wait(OURS)

    assert broker.log == [OURS]
    assert "sluice topics" in lines[0]["event"]


async def test_a_record_that_is_too_large_is_its_stages_to_answer_for() -> None:
    broker = Broker(handing=(TooLargeError(),))

    with pytest.raises(TooLargeError):
        await broker.outbox.send(OURS)


def record() -> ConsumerRecord:
    return ConsumerRecord("llm.requests.v1", 3, 7, 1_790_000_000_000, b"k", b"the value", (("trace", b"1"),))


def test_a_dead_record_is_untouched_and_says_where_it_came_from() -> None:
    letter = Broker().outbox.dead_letter(record(), DeadLetterError("this is no request"))

    assert (letter.topic, letter.partition) == ("llm.requests.v1-dlt", 3)
    assert (letter.key, letter.value) == (b"k", b"the value")
    assert letter.headers[0] == ("trace", b"1")
    assert last_value(letter.headers, "kafka_dlt-exception-message") == b"this is no request"


def test_a_fault_of_ours_tells_its_name_and_place_but_never_its_message() -> None:
    with pytest.raises(ValueError, match=SECRET) as caught:
        int(SECRET)

    with structlog.testing.capture_logs() as lines:
        letter = Broker().outbox.dead_letter(record(), caught.value)

    assert last_value(letter.headers, "kafka_dlt-exception-fqcn") == b"ValueError"
    assert SECRET not in str(letter)
    assert SECRET not in str(lines)
    assert "test_output_writer.py" in lines[0]["where"]
