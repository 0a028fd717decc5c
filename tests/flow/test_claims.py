"""No second paid call, with the log as the memory: what a worker learns from others' attempts before it begins."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from aiokafka import AIOKafkaConsumer

from connectors.embedded.broker import EmbeddedBroker
from connectors.kafka import Producer
from connectors.kafka.follower import Follower
from connectors.providers.provider import Answer, Call, ProviderSettings
from schemas.codec import decode
from schemas.events import AttemptFinished, AttemptStarted, RequestRouted, RequestSettled, Usage
from schemas.topics import Topics
from streams import incarnation
from streams.call import CallStage
from streams.settings import Kafka, Settings
from streams.worker import Worker
from streams.writing import written
from tests.making import now_ms, routed
from tests.polling import eventually

pytestmark = pytest.mark.flow

DEAD = f"{incarnation.own().partition('/')[0]}/4194304/1"
"""A worker of this machine whose process id is beyond what Linux gives."""


class Counting:
    """A provider that counts its calls by request, and answers when it is let."""

    Settings: ClassVar[type[ProviderSettings]] = ProviderSettings

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.let = asyncio.Event()

    async def complete(self, call: Call) -> Answer:
        self.calls[call.request_id] += 1
        await self.let.wait()
        return Answer({"id": "paid", "choices": []}, 200, Usage(), "paid", "m", ("stop",))

    async def stream(self, call: Call) -> AsyncIterator[dict[str, Any] | Answer]:
        yield await self.complete(call)

    async def close(self) -> None:
        """Nothing is open."""


@contextlib.asynccontextmanager
async def working(
    provider: Counting, topics: Topics, broker: EmbeddedBroker, name: str = "here"
) -> AsyncIterator[Worker]:
    settings = Settings(kafka=Kafka(topic_prefix=topics.prefix))
    follow = functools.partial(Follower, broker.bootstrap_servers, topics.attempts.name)
    stage = CallStage(settings, name, follow=follow, providers={"sim": provider})
    worker = Worker(stage, topics, broker.bootstrap_servers)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


async def put(
    broker: EmbeddedBroker, topics: Topics, *events: RequestRouted | AttemptStarted | AttemptFinished
) -> None:
    async with Producer(broker.bootstrap_servers) as producer:
        for event in events:
            topic = topics.routed if isinstance(event, RequestRouted) else topics.attempts
            await producer.send(written(event, topic, "test", now_ms()))


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


def begun(request: RequestRouted, worker: str, expires_in_ms: int = 60_000) -> AttemptStarted:
    return AttemptStarted(
        request=request.request,
        attempt=1,
        provider="sim",
        model="echo",
        worker=worker,
        started_at=now_ms(),
        expires_at=now_ms() + expires_in_ms,
    )


def ended(started: AttemptStarted) -> AttemptFinished:
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


async def test_a_redelivered_request_that_has_its_answer_is_answered_from_the_log(
    broker: EmbeddedBroker, topics: Topics
) -> None:
    provider, request = Counting(), routed()
    provider.let.set()
    started = begun(request, DEAD)
    await put(broker, topics, request, started, ended(started))

    async with working(provider, topics, broker):
        (settled,) = await outcomes(broker, topics, 1)

    assert provider.calls == Counter()
    assert settled.outcome == "answered"
    assert settled.output == '{"id": "recorded"}'


@pytest.mark.parametrize(("on_in_doubt", "outcome", "calls"), [("retry", "answered", 1), ("fail", "failed", 0)])
async def test_a_call_that_a_dead_worker_left_running_is_in_doubt_and_the_route_decides(
    broker: EmbeddedBroker, topics: Topics, on_in_doubt: str, outcome: str, calls: int
) -> None:
    provider, request = Counting(), routed(on_in_doubt=on_in_doubt)
    provider.let.set()
    await put(broker, topics, request, begun(request, DEAD))

    async with working(provider, topics, broker):
        (settled,) = await outcomes(broker, topics, 1)

    assert provider.calls.total() == calls
    assert settled.outcome == outcome


async def test_a_call_of_a_worker_elsewhere_is_waited_for(broker: EmbeddedBroker, topics: Topics) -> None:
    provider, request = Counting(), routed()
    provider.let.set()
    started = begun(request, "another-machine/1/1")
    await put(broker, topics, request, started)

    async with working(provider, topics, broker) as worker:
        await eventually(lambda: worker.open == 1, within=20)
        await put(broker, topics, ended(started))
        (settled,) = await outcomes(broker, topics, 1)

    assert provider.calls == Counter()
    assert settled.output == '{"id": "recorded"}'


async def test_a_rebalance_in_the_middle_of_many_calls_costs_no_second_one(
    broker: EmbeddedBroker, topics: Topics
) -> None:
    first, second = Counting(), Counting()
    requests = [routed() for _ in range(40)]
    await put(broker, topics, *requests)
    async with working(first, topics, broker, "first") as worker:
        await eventually(lambda: first.calls.total() == 40, within=20)

        async with working(second, topics, broker, "second") as other:
            await eventually(lambda: other.assigned == 2 and worker.assigned == 2, within=30)
            await eventually(lambda: other.open + worker.open >= 40, within=20)
            first.let.set()
            second.let.set()
            settled = await outcomes(broker, topics, 40)
            await eventually(lambda: other.open == 0 and worker.open == 0, within=20)

    assert set((first.calls + second.calls).values()) == {1}
    assert {event.request.request_id for event in settled} == {request.request.request_id for request in requests}
    assert {event.outcome for event in settled} == {"answered"}
