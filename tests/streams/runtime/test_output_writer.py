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
from streams.runtime import output_writer
from streams.runtime.driver import KafkaError, NoSuchTopicError, TooLargeError
from streams.runtime.output_writer import OutputWriter

SECRET = "a very secret word"


class Broker:
    """Acknowledges writes after the given errors: of the producer (`sending`), or of the broker (`acknowledging`)."""

    def __init__(self, *, sending: tuple[Exception, ...] = (), acknowledging: tuple[Exception, ...] = ()) -> None:
        self._sending = list(sending)
        self._acknowledging = list(acknowledging)
        self.attempts: list[ProducerRecord] = []
        self.log: list[ProducerRecord] = []

    async def write(self, output: ProducerRecord) -> Awaitable[object]:
        self.attempts.append(output)
        if self._sending:
            raise self._sending.pop(0)
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._acknowledging:
            answer.set_exception(self._acknowledging.pop(0))
        else:
            self.log.append(output)
            answer.set_result(None)
        return answer

    @property
    def writer(self) -> OutputWriter:
        return OutputWriter(self.write, "reply", "llm.reply", lambda _: None)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_writer, "RETRY_BACKOFF_S", (0.0, 0.001))


OURS = ProducerRecord("llm.routed.v1", b"k", b"v")
THEIRS = ProducerRecord("llm.replies.shop", b"k", b"v", (("trace", b"1"),), dead_letter_topic="llm.outcomes.v1-dlt")


async def test_acknowledged_output_is_written_once() -> None:
    broker = Broker()

    await broker.writer.send_and_wait(OURS)

    assert broker.attempts == broker.log == [OURS]


@pytest.mark.parametrize("where", ["sending", "acknowledging"])
async def test_failed_write_is_repeated_until_acknowledged(where: str) -> None:
    faults = tuple(KafkaError() for _ in range(5))
    broker = Broker(sending=faults) if where == "sending" else Broker(acknowledging=faults)

    await broker.writer.send_and_wait(OURS)

    assert len(broker.attempts) == 6
    assert broker.log == [OURS]


async def test_unwanted_output_is_not_written_again() -> None:
    broker = Broker(acknowledging=(KafkaError(),))
    writer = broker.writer

    await asyncio.wait_for(writer.send_until_acked(OURS, await writer.send(OURS), is_wanted=lambda: False), 5)

    assert broker.attempts == [OURS]


async def test_output_to_a_callers_missing_topic_becomes_a_dead_letter() -> None:
    broker = Broker(sending=(NoSuchTopicError("llm.replies.shop does not exist"),))

    await broker.writer.send_and_wait(THEIRS)

    (letter,) = broker.log
    assert (letter.topic, letter.key, letter.value) == ("llm.outcomes.v1-dlt", b"k", b"v")
    assert last_value(letter.headers, "trace") == b"1"
    assert last_value(letter.headers, "kafka_dlt-original-topic") == b"llm.replies.shop"
    assert last_value(letter.headers, "__connect.errors.exception.message") == b"llm.replies.shop does not exist"


async def test_output_refused_by_a_callers_topic_becomes_a_dead_letter() -> None:
    broker = Broker(acknowledging=(MessageSizeTooLargeError(SECRET),))

    await asyncio.wait_for(broker.writer.send_and_wait(THEIRS), 5)

    (letter,) = broker.log
    assert letter.topic == "llm.outcomes.v1-dlt"
    assert SECRET not in str(letter)


@pytest.mark.parametrize("error", [(), (MessageSizeTooLargeError(),)])
async def test_dead_letter_of_a_chunk_has_the_position_of_its_input(
    error: tuple[Any, ...],
) -> None:
    routed = ConsumerRecord("llm.routed.v1", 2, 9, 1_790_000_000_000, b"k", b"a plan", ())
    missing = () if error else (NoSuchTopicError("llm.replies.shop does not exist"),)
    broker = Broker(sending=missing, acknowledging=error)

    await asyncio.wait_for(broker.writer.send_and_wait(THEIRS, routed), 5)

    (letter,) = broker.log
    assert last_value(letter.headers, "__connect.errors.topic") == b"llm.routed.v1"
    assert last_value(letter.headers, "__connect.errors.offset") == b"9"


@pytest.mark.parametrize("where", ["sending", "acknowledging"])
async def test_dead_letter_of_a_reply_has_the_position_of_its_outcome(where: str) -> None:
    settled = ConsumerRecord("llm.outcomes.v1", 3, 7, 1_790_000_000_000, b"k", b"an outcome", ())
    answer = replace(THEIRS, partition=5, source_record=settled)
    broker = (
        Broker(sending=(NoSuchTopicError("llm.replies.shop[5] does not exist"),))
        if where == "sending"
        else Broker(acknowledging=(MessageSizeTooLargeError(),))
    )

    await asyncio.wait_for(broker.writer.send_and_wait(answer), 5)

    (letter,) = broker.log
    assert (letter.topic, letter.partition, letter.value) == ("llm.outcomes.v1-dlt", 3, b"v")
    assert last_value(letter.headers, "__connect.errors.topic") == b"llm.outcomes.v1"
    assert last_value(letter.headers, "__connect.errors.partition") == b"3"
    assert last_value(letter.headers, "__connect.errors.offset") == b"7"
    assert last_value(letter.headers, "kafka_dlt-original-timestamp") == (1_790_000_000_000).to_bytes(8, "big")
    assert b"llm.replies.shop" in (last_value(letter.headers, "kafka_dlt-exception-message") or b"")


async def test_missing_pipeline_topic_is_retried_and_logged() -> None:
    broker = Broker(sending=(NoSuchTopicError("llm.routed.v1 does not exist"),))

    with structlog.testing.capture_logs() as lines:
        await broker.writer.send_and_wait(OURS)

    assert broker.log == [OURS]
    assert (lines[0]["event"], lines[0]["remedy"]) == ("topic.missing", "run `sluice topics`")


async def test_too_large_output_raises() -> None:
    broker = Broker(sending=(TooLargeError(),))

    with pytest.raises(TooLargeError):
        await broker.writer.send(OURS)


def record() -> ConsumerRecord:
    return ConsumerRecord("llm.requests.v1", 3, 7, 1_790_000_000_000, b"k", b"the value", (("trace", b"1"),))


def test_dead_letter_is_unchanged_and_has_its_original_partition() -> None:
    letter = Broker().writer.dead_letter(record(), DeadLetterError("this is no request"))

    assert (letter.topic, letter.partition) == ("llm.requests.v1-dlt", 3)
    assert (letter.key, letter.value) == (b"k", b"the value")
    assert letter.headers[0] == ("trace", b"1")
    assert last_value(letter.headers, "kafka_dlt-exception-message") == b"this is no request"


def test_dead_letter_of_a_bug_has_its_class_but_not_its_message() -> None:
    with pytest.raises(ValueError, match=SECRET) as caught:
        int(SECRET)

    with structlog.testing.capture_logs() as lines:
        letter = Broker().writer.dead_letter(record(), caught.value)

    assert last_value(letter.headers, "kafka_dlt-exception-fqcn") == b"ValueError"
    assert SECRET not in str(letter)
    assert SECRET not in str(lines)
    assert "test_output_writer.py" in lines[0]["where"]
