from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from schemas.events.parts import Header, ReplyTo
from schemas.kafka.headers import last_value
from schemas.kafka.records import ProducerRecord
from streams.call import chunk_writer as chunks
from streams.call.chunk_writer import (
    COALESCE_S,
    MAX_FLUSH_SLOTS,
    STREAMS_PER_FLUSH_SLOT,
    ChunkWriter,
    merge_text,
    seconds_until_flush,
)
from tests.factories import make_request


def text(content: str, index: int = 0) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": index, "delta": {"content": content}, "finish_reason": None}]}


class Log:
    def __init__(self) -> None:
        self.outputs: list[ProducerRecord] = []

    async def emit(self, output: ProducerRecord) -> None:
        await asyncio.sleep(0)
        self.outputs.append(output)

    @property
    def texts(self) -> list[str]:
        return [orjson.loads(output.value or b"")["choices"][0]["delta"]["content"] for output in self.outputs]


def make_writer(log: Log, *, usage: bool = False, **request: Any) -> ChunkWriter:
    reply_to = ReplyTo(topic="replies", partition=2, key=b"k", correlation=(Header(name="c", value=b"\xff"),))
    request_ = make_request(**{"reply_to": reply_to, "stream_topic": "replies", **request})
    return ChunkWriter(request_, 1, log.emit, "letters", include_usage=usage)


async def test_chunks_are_written_in_order_with_sequence_and_correlation() -> None:
    log = Log()
    writer = make_writer(log)

    for number in range(3):
        writer.write(text("ab"[number % 2], index=number))
    await writer.close()

    assert [last_value(output.headers, "sluice-sequence") for output in log.outputs] == [b"0", b"1", b"2"]
    assert {(output.topic, output.partition, output.key) for output in log.outputs} == {("replies", 2, b"k")}
    assert last_value(log.outputs[0].headers, "c") == b"\xff"


async def test_flush_writes_all_pending_chunks_even_if_none_can_be_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "COALESCE_S", 0.05)
    log = Log()
    writer = make_writer(log)
    writer.write(text("first"))
    await asyncio.sleep(0.001)

    for number in range(20):  # of different choices, so that none is merged
        writer.write(text("more", index=number))
    await asyncio.sleep(0.12)

    assert len(log.outputs) == 21
    await writer.close()


async def test_first_visible_chunk_is_written_before_after_a_chunk_with_only_a_role() -> None:
    log = Log()
    writer = make_writer(log)

    writer.write({"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
    await asyncio.sleep(0.001)
    writer.write(text("first"))
    await asyncio.sleep(0.001)
    before = list(log.texts)
    writer.write(text("second"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    then = list(log.texts)
    await writer.close()

    assert (before, then) == (["", "first"], ["", "first"])
    assert log.texts == ["", "first", "second"]


async def test_first_chunk_is_written_before_and_later_small_ones_are_merged() -> None:
    log = Log()
    writer = make_writer(log)

    writer.write(text("first"))
    await asyncio.sleep(0.001)
    before = list(log.texts)
    for word in (" a", " b", " c"):
        writer.write(text(word))
    await writer.close()

    assert before == ["first"]
    assert log.texts == ["first", " a b c"]


async def test_usage_chunk_is_written_only_if_the_caller_asked_for_it() -> None:
    without_usage, with_usage = Log(), Log()
    chunk = {"id": "c", "choices": [], "usage": {"total_tokens": 1}}

    for log, usage in ((without_usage, False), (with_usage, True)):
        writer = make_writer(log, usage=usage)
        writer.write(chunk)
        await writer.close()

    assert without_usage.outputs == []
    assert orjson.loads(with_usage.outputs[0].value or b"") == chunk


async def test_chunks_for_another_topic_than_the_reply_have_no_partition() -> None:
    log = Log()
    writer = make_writer(log, stream_topic="chunks")

    writer.write(text("x"))
    await writer.close()

    assert (log.outputs[0].topic, log.outputs[0].partition) == ("chunks", None)


def test_merge_text_only_merges_plain_text_of_one_choice() -> None:
    finished = text("b")
    finished["choices"][0]["finish_reason"] = "stop"

    assert not merge_text(text("a"), text("b", index=1))
    assert not merge_text(text("a"), finished)
    assert not merge_text(text("a"), {"choices": [{"index": 0, "delta": {"tool_calls": []}}]})
    assert merge_text(text("a"), text("b"))


@pytest.mark.parametrize(
    ("streams", "slots"),
    [(0, 1), (1, 1), (STREAMS_PER_FLUSH_SLOT, 1), (STREAMS_PER_FLUSH_SLOT + 1, 2), (10_000, MAX_FLUSH_SLOTS)],
)
def test_many_streams_are_spread_over_flush_slots(streams: int, slots: int) -> None:
    flushes = [round((7.001 + seconds_until_flush(number, streams, 7.001)) / COALESCE_S, 6) for number in range(slots)]

    assert all(flush == round(flush) for flush in flushes)
    assert sorted(round(flush) % slots for flush in flushes) == list(range(slots))
    assert all(0 < seconds_until_flush(number, streams, 7.001) <= slots * COALESCE_S for number in range(slots))
