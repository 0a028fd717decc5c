from __future__ import annotations

import pytest

from connectors.kafka import BrokerUnavailableError, KafkaProducer, NoSuchTopicError, lag
from connectors.kafka.admin.replicas import ReplicaStatus
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.records import ProducerRecord
from schemas.kafka.topics import Topics
from streams.config.settings import Settings
from streams.doctor import kafka
from streams.doctor.finding import CheckFailed
from tests.eventually import eventually


def settings(broker: EmbeddedBroker, topics: Topics) -> Settings:
    content = {"bootstrap_servers": broker.bootstrap_servers, "topic_prefix": topics.prefix}
    return Settings.model_validate({"kafka": content})


@pytest.fixture
async def coordinated(broker: EmbeddedBroker, topics: Topics) -> None:
    """Wait for the broker's offsets topic, which it creates at the first use: on a busy machine that takes a while."""

    async def has_coordinator() -> bool:
        try:
            return bool(await lag(broker.bootstrap_servers, topics.group("reply"), [topics.outcomes]))
        except BrokerUnavailableError:
            return False

    await eventually(has_coordinator, within=60)


@pytest.mark.flow
@pytest.mark.usefixtures("coordinated")
async def test_kafka_as_configured_passes(broker: EmbeddedBroker, topics: Topics) -> None:
    assert await kafka.brokers(settings(broker, topics)) == f"{broker.bootstrap_servers}, 1 broker"
    assert await kafka.topics(settings(broker, topics)) == "all topics match the configuration"
    assert (await kafka.backlog(settings(broker, topics))).startswith("filter 0, route 0, ")


@pytest.mark.flow
async def test_missing_topics_are_listed(broker: EmbeddedBroker) -> None:
    with pytest.raises(NoSuchTopicError, match=r"nothing\.requests\.v1"):
        await kafka.topics(settings(broker, Topics("nothing.")))


@pytest.mark.flow
@pytest.mark.usefixtures("coordinated")
async def test_stage_without_a_worker_is_reported_with_its_lag(broker: EmbeddedBroker, topics: Topics) -> None:
    async with KafkaProducer(broker.bootstrap_servers) as producer:
        for _ in range(3):
            await producer.send(ProducerRecord(topics.outcomes.name, b"k", b"v", partition=1))

    with pytest.raises(
        CheckFailed, match=r"reply \(4, 3 records wait\).*; start `sluice run filter route call reply audit`"
    ):
        await kafka.stages(settings(broker, topics))


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (ReplicaStatus(1, (("t", 0),), ()), r"without a leader: t\[0\]; check that all brokers run"),
        (
            ReplicaStatus(2, (), tuple(("t", n) for n in range(5))),
            r"under-replicated partitions: t\[0\], .*t\[2\] and 2 more",
        ),
    ],
)
async def test_leaderless_and_under_replicated_partitions_are_listed(
    status: ReplicaStatus, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def replica_status(*_: object) -> ReplicaStatus:
        return status

    monkeypatch.setattr(kafka, "replica_status", replica_status)

    with pytest.raises(CheckFailed, match=message):
        await kafka.brokers(Settings())
