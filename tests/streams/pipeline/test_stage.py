"""Tests of every stage: a request on whose record the stage raises has exactly one end."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.avro.codec import decode, encode
from schemas.events.catalog import RequestReceived, RequestSettled
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.composition import filter_config, route_config
from streams.config.settings import Settings
from streams.filter.stage import FilterStage
from streams.pipeline.stage import TransformStage
from streams.reply.stage import ReplyStage
from streams.route.stage import RouteStage
from streams.runtime.offset_tracker import OffsetTracker
from streams.runtime.output_writer import OutputWriter
from streams.runtime.transform_runner import TransformRunner
from tests.factories import admitted, chat, make_request, now_ms, record

PLAIN: tuple[tuple[str, bytes], ...] = (("reply-topic", b"llm.replies.x"), ("correlation-id", b"1"))


def cases() -> dict[str, tuple[Callable[[], TransformStage], ConsumerRecord]]:
    received = RequestReceived(request=make_request(source="kafka"), body=chat().encode())
    settled = RequestSettled(request=make_request(), outcome="answered", output="{}", settled_at=now_ms())
    config = Settings()
    return {
        "filter, JSON": (
            lambda: FilterStage(filter_config(config)),
            ConsumerRecord("llm.requests.v1", 1, 7, now_ms(), b"k", chat().encode(), PLAIN),
        ),
        "filter, Avro": (
            lambda: FilterStage(filter_config(config)),
            ConsumerRecord("llm.requests.v1", 1, 7, now_ms(), b"k", encode(received), ()),
        ),
        "route": (lambda: RouteStage(route_config(config)), record(admitted(), "llm.admitted.v1")),
        "reply": (lambda: ReplyStage("llm.outcomes.v1-dlt"), record(settled, "llm.outcomes.v1")),
    }


class InjectedError(Exception):
    """Raised by a test at one point of the execution."""


def raise_at(call: int, error: type[Exception]) -> tuple[Callable[[FrameType, str, Any], None], list[int]]:
    """Return a profiler that raises at the given call of a function of the stages, once."""
    seen = [0]

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if frame.f_code.co_flags & inspect.CO_GENERATOR:  # an error in a generator that is closed is ignored
            return
        if event == "call" and "/streams/" in frame.f_code.co_filename and "/tests/" not in frame.f_code.co_filename:
            seen[0] += 1
            if seen[0] == call + 1:
                sys.setprofile(None)
                raise error

    return profile, seen


async def run(stage: TransformStage, source: ConsumerRecord) -> list[ProducerRecord]:
    written: list[ProducerRecord] = []

    async def write(output: ProducerRecord) -> Awaitable[object]:
        written.append(output)
        return asyncio.sleep(0)

    runner = TransformRunner(stage, OutputWriter(write, stage.name, "g", lambda _: None), lambda _: None)
    await runner.take([(source, OffsetTracker().deliver("p", source.offset))])
    await runner.drain()
    return written


@pytest.mark.parametrize("case", cases())
@given(call=st.integers(1, 60), error=st.sampled_from([ValueError, RecursionError, OverflowError, InjectedError]))
@settings(max_examples=60, deadline=None)
def test_request_has_exactly_one_end_wherever_its_stage_raises(case: str, call: int, error: type[Exception]) -> None:
    make_stage, source = cases()[case]
    stage = make_stage()
    process = stage.process

    def failing(record: ConsumerRecord) -> Any:
        profile, _ = raise_at(call, error)
        sys.setprofile(profile)
        try:
            return process(record)
        finally:
            sys.setprofile(None)

    stage.process = failing  # type: ignore[method-assign]

    written = asyncio.run(run(stage, source))

    onward = [output for output in written if not output.topic.endswith("-dlt")]
    letters = [output for output in written if output.topic.endswith("-dlt")]
    assert len(onward) == 1
    if letters:
        assert letters[0].value == source.value
        if case == "reply":
            assert b"internal_error" in (onward[0].value or b"")
        else:
            event = decode(onward[0].value or b"")
            assert isinstance(event, RequestSettled)
            assert event.failure is not None
            assert (event.outcome, event.failure.code) == ("failed", "internal_error")
            assert event.request.reply_to is not None
