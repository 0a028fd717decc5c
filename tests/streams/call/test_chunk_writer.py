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


def a_writer(log: Log, *, usage: bool = False, **request: Any) -> ChunkWriter:
    reply_to = ReplyTo(topic="replies", partition=2, key=b"k", correlation=(Header(name="c", value=b"\xff"),))
    asked = make_request(**{"reply_to": reply_to, "stream_topic": "replies", **request})
    return ChunkWriter(asked, 1, log.emit, "letters", include_usage=usage)


async def test_chunks_come_in_order_with_their_numbers_and_the_callers_own_correlation() -> None:
    log = Log()
    writer = a_writer(log)

    for number in range(3):
        writer.write(text("ab"[number % 2], index=number))
    await writer.close()

    assert [last_value(output.headers, "sluice-sequence") for output in log.outputs] == [b"0", b"1", b"2"]
    assert {(output.topic, output.partition, output.key) for output in log.outputs} == {("replies", 2, b"k")}
    assert last_value(log.outputs[0].headers, "c") == b"\xff"


async def test_all_that_gathered_goes_together_however_many_pieces_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "COALESCE_S", 0.05)
    log = Log()
    writer = a_writer(log)
    writer.write(text("first"))
    await asyncio.sleep(0.001)

    for number in range(20):  # of different choices, so that nothing is joined
        writer.write(text("more", index=number))
    await asyncio.sleep(0.12)

    assert len(log.outputs) == 21
    await writer.close()


async def test_the_first_word_goes_at_once_though_a_chunk_without_words_came_before_it() -> None:
    log = Log()
    writer = a_writer(log)

    writer.write({"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
    await asyncio.sleep(0.001)
    writer.write(text("first"))
    await asyncio.sleep(0.001)
    at_once = list(log.texts)
    writer.write(text("second"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    then = list(log.texts)
    await writer.close()

    assert (at_once, then) == (["", "first"], ["", "first"])
    assert log.texts == ["", "first", "second"]


async def test_the_first_chunk_goes_at_once_and_small_ones_behind_it_are_joined() -> None:
    log = Log()
    writer = a_writer(log)

    writer.write(text("first"))
    await asyncio.sleep(0.001)
    at_once = list(log.texts)
    for word in (" a", " b", " c"):
        writer.write(text(word))
    await writer.close()

    assert at_once == ["first"]
    assert log.texts == ["first", " a b c"]


async def test_the_usage_goes_on_only_if_it_was_asked_for() -> None:
    silent, asked = Log(), Log()
    chunk = {"id": "c", "choices": [], "usage": {"total_tokens": 1}}

    for log, usage in ((silent, False), (asked, True)):
        writer = a_writer(log, usage=usage)
        writer.write(chunk)
        await writer.close()

    assert silent.outputs == []
    assert orjson.loads(asked.outputs[0].value or b"") == chunk


async def test_chunks_for_another_topic_than_the_reply_go_by_their_key() -> None:
    log = Log()
    writer = a_writer(log, stream_topic="chunks")

    writer.write(text("x"))
    await writer.close()

    assert (log.outputs[0].topic, log.outputs[0].partition) == ("chunks", None)


def test_only_plain_text_of_one_choice_is_joined() -> None:
    finished = text("b")
    finished["choices"][0]["finish_reason"] = "stop"

    assert not merge_text(text("a"), text("b", index=1))
    assert not merge_text(text("a"), finished)
    assert not merge_text(text("a"), {"choices": [{"index": 0, "delta": {"tool_calls": []}}]})
    assert merge_text(text("a"), text("b"))


@pytest.mark.parametrize(
    ("streams", "turns"),
    [(0, 1), (1, 1), (STREAMS_PER_FLUSH_SLOT, 1), (STREAMS_PER_FLUSH_SLOT + 1, 2), (10_000, MAX_FLUSH_SLOTS)],
)
def test_many_streams_take_turns(streams: int, turns: int) -> None:
    moments = [round((7.001 + seconds_until_flush(number, streams, 7.001)) / COALESCE_S, 6) for number in range(turns)]

    assert all(moment == round(moment) for moment in moments)
    assert sorted(round(moment) % turns for moment in moments) == list(range(turns))
    assert all(0 < seconds_until_flush(number, streams, 7.001) <= turns * COALESCE_S for number in range(turns))
