"""Tests that the call stage makes no second paid call, from the attempts of other workers on the log."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, ClassVar, cast

import confluent_kafka
import pytest
from aiokafka import AIOKafkaConsumer

from connectors.kafka import KafkaProducer
from connectors.kafka.clients.follower import TopicFollower
from connectors.kafka.clients.history import TopicHistoryReader
from connectors.kafka.embedded.broker import EmbeddedBroker
from connectors.providers.provider import ProviderAnswer, ProviderCall
from connectors.providers.settings import ProviderSettings
from schemas.avro.codec import decode
from schemas.events.catalog import AttemptFinished, AttemptStarted, RequestRouted, RequestSettled
from schemas.events.parts import Usage
from schemas.events.request_id import named_request_id
from schemas.kafka.topics import HOUR, Topics
from streams.call.idempotency import ledger as memory
from streams.call.idempotency import worker_id as incarnation
from streams.call.idempotency.answer_lookup import AnswerLookup
from streams.call.idempotency.claims import Claims
from streams.call.idempotency.fingerprint import fingerprint, with_fingerprint
from streams.call.request_body import parse_body
from streams.call.stage import CallStage
from streams.composition import call_config
from streams.config.deployment import KafkaSettings
from streams.config.settings import Settings
from streams.pipeline.producer_records import request_event_record
from streams.runtime.worker import Worker
from tests.eventually import eventually
from tests.factories import chat, now_ms, routed

pytestmark = pytest.mark.flow

DEAD = f"{incarnation.current_worker_id().partition('/')[0]}/4194304/1"
"""Id of a worker of this machine, with a process id above Linux's maximum."""


class CountingProvider:
    """A provider that counts its calls by request, and answers when ``released`` is set."""

    Settings: ClassVar[type[ProviderSettings]] = ProviderSettings

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.released = asyncio.Event()

    async def complete(self, call: ProviderCall) -> ProviderAnswer:
        self.calls[call.request_id] += 1
        await self.released.wait()
        return ProviderAnswer({"id": "paid", "choices": []}, 200, Usage(), "paid", "m", ("stop",))

    async def stream(self, call: ProviderCall) -> AsyncIterator[dict[str, Any] | ProviderAnswer]:
        yield await self.complete(call)

    async def close(self) -> None:
        """Nothing is open."""


@contextlib.asynccontextmanager
async def run_worker(
    provider: CountingProvider, topics: Topics, broker: EmbeddedBroker, name: str = "here"
) -> AsyncIterator[Worker]:
    settings = Settings(kafka=KafkaSettings(topic_prefix=topics.prefix))
    follow = functools.partial(TopicFollower, broker.bootstrap_servers)
    recall = AnswerLookup(functools.partial(TopicHistoryReader, broker.bootstrap_servers, topics.attempts.name))
    stage = CallStage(call_config(settings), name, follow=follow, answer_lookup=recall, providers={"sim": provider})
    worker = Worker(stage, topics, broker.bootstrap_servers)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


async def produce(
    broker: EmbeddedBroker, topics: Topics, *events: RequestRouted | AttemptStarted | AttemptFinished
) -> None:
    async with KafkaProducer(broker.bootstrap_servers) as producer:
        for event in events:
            topic = topics.routed if isinstance(event, RequestRouted) else topics.attempts
            await producer.send(request_event_record(event, topic, "test", now_ms()))


async def outcomes(broker: EmbeddedBroker, topics: Topics, count: int) -> list[RequestSettled]:
    found: list[RequestSettled] = []
    async with AIOKafkaConsumer(
        topics.outcomes.name, bootstrap_servers=broker.bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        async with asyncio.timeout(30):
            while len(found) < count:
                event = decode((await consumer.getone()).value)
                assert isinstance(event, RequestSettled)
                found.append(event)
    return found


def attempt_started(request: RequestRouted, worker: str, expires_in_ms: int = 60_000) -> AttemptStarted:
    return AttemptStarted(
        request=request.request,
        attempt=1,
        provider="sim",
        model="echo",
        worker=worker,
        started_at=now_ms(),
        expires_at=now_ms() + expires_in_ms,
    )


def attempt_finished(started: AttemptStarted) -> AttemptFinished:
    return AttemptFinished(
        request=started.request,
        attempt=1,
        provider="sim",
        model="echo",
        worker=started.worker,
        started_at=started.started_at,
        finished_at=now_ms(),
        body='{"id": "recorded"}',
    )


async def test_redelivered_request_with_an_answer_is_answered_from_the_log(
    broker: EmbeddedBroker, topics: Topics
) -> None:
    provider, request = CountingProvider(), routed()
    provider.released.set()
    started = attempt_started(request, DEAD)
    await produce(broker, topics, request, started, attempt_finished(started))

    async with run_worker(provider, topics, broker):
        (settled,) = await outcomes(broker, topics, 1)

    assert provider.calls == Counter()
    assert settled.outcome == "answered"
    assert settled.output == '{"id": "recorded"}'


@pytest.mark.parametrize(("on_in_doubt", "outcome", "calls"), [("retry", "answered", 1), ("fail", "failed", 0)])
async def test_call_of_a_dead_worker_is_in_doubt_and_follows_on_in_doubt(
    broker: EmbeddedBroker, topics: Topics, on_in_doubt: str, outcome: str, calls: int
) -> None:
    provider, request = CountingProvider(), routed(on_in_doubt=on_in_doubt)
    provider.released.set()
    await produce(broker, topics, request, attempt_started(request, DEAD))

    async with run_worker(provider, topics, broker):
        (settled,) = await outcomes(broker, topics, 1)

    assert provider.calls.total() == calls
    assert settled.outcome == outcome


async def test_call_of_a_worker_on_another_machine_is_waited_for(broker: EmbeddedBroker, topics: Topics) -> None:
    provider, request = CountingProvider(), routed()
    provider.released.set()
    started = attempt_started(request, "another-machine/1/1")
    await produce(broker, topics, request, started)

    async with run_worker(provider, topics, broker) as worker:
        await eventually(lambda: worker.in_flight == 1, within=20)
        await produce(broker, topics, attempt_finished(started))
        (settled,) = await outcomes(broker, topics, 1)

    assert provider.calls == Counter()
    assert settled.output == '{"id": "recorded"}'


def produce_answer(broker: EmbeddedBroker, topics: Topics, request: RequestRouted, hours: int) -> None:
    """Produce the answer of a worker from some hours ago, in the partition of its request."""
    event = attempt_finished(attempt_started(request, DEAD))
    output = with_fingerprint(
        request_event_record(event, topics.attempts, "call", now_ms()), fingerprint(request, parse_body(request))
    )
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "partitioner": "murmur2_random"}
    )
    at_ms = now_ms() - hours * HOUR
    producer.produce(output.topic, output.value, output.key, headers=list(output.headers), timestamp=at_ms)
    producer.flush(20)


def named_request(name: str, text: str = "hello", **more: Any) -> RequestRouted:
    return routed(body=chat(text=text), request_id=named_request_id("acme", name), **more)


async def test_repeat_within_a_day_is_answered_from_the_log(broker: EmbeddedBroker, topics: Topics) -> None:
    provider = CountingProvider()
    provider.released.set()
    for hours, name in ((2, "young"), (23, "old"), (25, "too old")):
        produce_answer(broker, topics, named_request(name, received_at=5), hours)

    async with run_worker(provider, topics, broker):
        await produce(
            broker,
            topics,
            named_request("young"),
            named_request("old"),
            named_request("too old"),
            named_request("young", "another question"),
        )
        settled = await outcomes(broker, topics, 4)

    ends = {(event.request.request_id, event.outcome, event.replayed, event.output[:10]) for event in settled}
    assert ends == {
        (named_request_id("acme", "young"), "answered", True, '{"id": "re'),
        (named_request_id("acme", "young"), "refused", True, ""),
        (named_request_id("acme", "old"), "answered", True, '{"id": "re'),
        (named_request_id("acme", "too old"), "answered", False, '{"id":"pai'),
    }
    assert provider.calls == {named_request_id("acme", "too old"): 1}


async def test_worker_finds_its_own_answer_on_the_log(
    broker: EmbeddedBroker, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "Claims", functools.partial(Claims, 0))  # no room for claims
    provider = CountingProvider()
    provider.released.set()

    async with run_worker(provider, topics, broker) as worker:
        recall = cast("CallStage", worker.stage)._ledger._answer_lookup
        assert recall is not None
        await produce(broker, topics, named_request("order-7", received_at=5))
        (first,) = await outcomes(broker, topics, 1)
        await eventually(lambda: recall._index.find(named_request_id("acme", "order-7")) is not None)
        await produce(broker, topics, named_request("order-7"))
        again = (await outcomes(broker, topics, 2))[-1]

    assert (again.output, again.replayed) == (first.output, True)
    assert provider.calls.total() == 1


async def test_rebalance_during_40_calls_causes_no_second_call(broker: EmbeddedBroker, topics: Topics) -> None:
    first, second = CountingProvider(), CountingProvider()
    requests = [routed() for _ in range(40)]
    await produce(broker, topics, *requests)
    async with run_worker(first, topics, broker, "first") as worker:
        await eventually(lambda: first.calls.total() == 40, within=20)

        async with run_worker(second, topics, broker, "second") as other:
            half = sum(topic.partitions for topic in topics.sources_of("call")) // 2
            await eventually(lambda: other.assigned == worker.assigned == half, within=30)
            await eventually(lambda: other.in_flight + worker.in_flight >= 40, within=20)
            first.released.set()
            second.released.set()
            settled = await outcomes(broker, topics, 40)
            await eventually(lambda: other.in_flight == 0 and worker.in_flight == 0, within=20)

    assert set((first.calls + second.calls).values()) == {1}
    assert {event.request.request_id for event in settled} == {request.request.request_id for request in requests}
    assert {event.outcome for event in settled} == {"answered"}
