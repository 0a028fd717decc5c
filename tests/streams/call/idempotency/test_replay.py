from __future__ import annotations

import dataclasses
from typing import Any

import orjson
import pytest

from schemas.events.catalog import AttemptFinished, RequestRouted
from schemas.events.parts import ReplyTo
from schemas.events.request_id import named_request_id
from schemas.kafka.headers import ATTEMPT, SEQUENCE, last_value
from schemas.kafka.records import ProducerRecord
from streams.call.attempts import RequestEnd, to_settled_event
from streams.call.idempotency.fingerprint import fingerprint
from streams.call.idempotency.replay import end_for_repeat, replay_stream
from streams.call.request_body import parse_body
from streams.call.stage import CallStage
from streams.composition import call_config
from streams.config.settings import Settings
from streams.pipeline.failures import IDEMPOTENCY_KEY_REUSED
from tests.factories import chat, now_ms, record, routed
from tests.streams.call.scripted_provider import SIM, answer, process, scripted_stage

NAMED = named_request_id("acme", "order-7")
ANSWER = {
    "id": "paid",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "two words"}, "finish_reason": "stop"}],
    "usage": {"total_tokens": 3},
}


def make_routed(body: str = "", **more: Any) -> RequestRouted:
    return routed(body=body or chat(), request_id=NAMED, **more)


def answered(event: RequestRouted) -> RequestEnd:
    attempt = AttemptFinished(
        request=event.request,
        attempt=2,
        provider="sim",
        model="echo",
        worker="w",
        started_at=1,
        finished_at=2,
        body=orjson.dumps(ANSWER).decode(),
    )
    return RequestEnd(event.request, "answered", None, (attempt,), 2, fingerprint(event, parse_body(event)))


def repeat(event: RequestRouted, body: str = "", **changes: Any) -> RequestRouted:
    request = dataclasses.replace(event.request, **{"received_at": now_ms() + 1000, **changes})
    return dataclasses.replace(event, request=request, body=body or event.body)


def test_repeat_with_the_same_body_gets_the_recorded_end() -> None:
    event = make_routed()

    assert end_for_repeat(repeat(event), answered(event)) == answered(event)


def test_repeat_with_another_body_is_refused_without_usage() -> None:
    event = make_routed()
    other = repeat(event, chat(text="something else"))

    settled = to_settled_event(other, end_for_repeat(other, answered(event)), 9)

    assert (settled.outcome, settled.failure, settled.replayed) == ("refused", IDEMPOTENCY_KEY_REUSED, True)
    assert (settled.output, settled.provider, settled.cost_usd, settled.usage.input_tokens) == ("", "", None, 0)


def test_redelivery_gets_the_recorded_end_with_any_body() -> None:
    event = make_routed()
    redelivered = dataclasses.replace(event, body=chat(text="masked otherwise"))

    assert end_for_repeat(redelivered, answered(event)) == answered(event)


def test_repeat_of_an_end_without_fingerprint_gets_that_end() -> None:
    event = make_routed()
    unknown = dataclasses.replace(answered(event), fingerprint="")

    assert end_for_repeat(repeat(event, chat(text="something else")), unknown) == unknown


async def replayed_chunks(event: RequestRouted, end: RequestEnd) -> list[ProducerRecord]:
    outputs: list[ProducerRecord] = []

    async def emit(output: ProducerRecord) -> None:
        outputs.append(output)

    await replay_stream(event, end, emit, "letters")
    return outputs


def text_of(outputs: list[ProducerRecord]) -> str:
    chunks = [orjson.loads(output.value or b"") for output in outputs]
    return "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])


async def test_replay_stream_writes_the_recorded_answer_as_chunks() -> None:
    event = make_routed(chat(stream=True))

    outputs = await replayed_chunks(repeat(event, stream_topic="llm.replies.me"), answered(event))

    assert text_of(outputs) == "two words"
    assert {output.topic for output in outputs} == {"llm.replies.me"}
    assert [last_value(output.headers, SEQUENCE) for output in outputs] == [b"%d" % n for n in range(len(outputs))]
    assert {last_value(output.headers, ATTEMPT) for output in outputs} == {b"2"}
    assert not any("usage" in orjson.loads(output.value or b"") for output in outputs)


async def test_replay_stream_ends_with_the_usage_if_requested() -> None:
    event = make_routed(chat(stream=True, stream_options={"include_usage": True}))

    outputs = await replayed_chunks(repeat(event, stream_topic="llm.replies.me"), answered(event))

    assert orjson.loads(outputs[-1].value or b"")["usage"] == {"total_tokens": 3}


@pytest.mark.parametrize("change", [{"stream_topic": ""}, {"received_at": 0}])
async def test_replay_stream_writes_nothing_without_stream_topic_or_for_a_redelivery(change: dict[str, Any]) -> None:
    event = make_routed(chat(stream=True), stream_topic="llm.replies.me", received_at=0)

    assert await replayed_chunks(repeat(event, **change), answered(event)) == []


async def test_replay_stream_writes_nothing_for_a_refusal() -> None:
    event = make_routed(chat(stream=True), stream_topic="llm.replies.me")
    other = repeat(event, chat(text="something else", stream=True))

    assert await replayed_chunks(other, end_for_repeat(other, answered(event))) == []


async def test_redelivery_of_a_settled_request_gets_the_same_outcome() -> None:
    stage, provider = scripted_stage(answer)
    event = routed()
    first = await process(event, stage)

    again = await process(dataclasses.replace(record(event), offset=99), stage)

    assert again == [first[-1]]
    assert len(provider.calls) == 1


@pytest.mark.parametrize("change", [{"received_at": 5}, {"reply_to": ReplyTo(topic="llm.replies.elsewhere")}])
async def test_client_retry_is_answered_as_a_replay(change: dict[str, Any]) -> None:
    stage, provider = scripted_stage(answer)
    event = routed()
    first = (await process(event, stage))[-1]
    again = dataclasses.replace(event, request=dataclasses.replace(event.request, **change))

    (settled,) = await process(again, stage)

    assert (settled.replayed, settled.output, settled.outcome) == (True, first.output, "answered")
    assert settled.request == again.request
    assert (settled.called_at, settled.answered_at) == (None, None)
    assert len(provider.calls) == 1


async def test_redelivery_of_a_failed_request_gets_the_same_outcome() -> None:
    stage = CallStage(call_config(Settings.model_validate(SIM)), "w1")
    event = routed("sim/fail-invalid_request")
    first = await process(event, stage)

    assert await process(event, stage) == [first[-1]]
