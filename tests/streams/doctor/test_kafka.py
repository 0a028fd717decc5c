from __future__ import annotations

import pytest

from connectors.kafka import BrokerUnavailableError, KafkaProducer, NoSuchTopicError, lag
from connectors.kafka.admin.replicas import ReplicaStatus
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.records import ProducerRecord
from schemas.kafka.topics import Topics
from streams.config.settings import Settings
from streams.doctor import kafka as log
from streams.doctor.finding import CheckFailed
from tests.eventually import eventually


def settings(broker: EmbeddedBroker, topics: Topics) -> Settings:
    kafka = {"bootstrap_servers": broker.bootstrap_servers, "topic_prefix": topics.prefix}
    return Settings.model_validate({"kafka": kafka})


@pytest.fixture
async def coordinated(broker: EmbeddedBroker, topics: Topics) -> None:
    """A broker makes the topic of its groups' offsets when first asked, and on a busy machine that takes its time."""

    async def answers() -> bool:
        try:
            return bool(await lag(broker.bootstrap_servers, topics.group("reply"), [topics.outcomes]))
        except BrokerUnavailableError:
            return False

    await eventually(answers, within=60)


@pytest.mark.flow
@pytest.mark.usefixtures("coordinated")
async def test_a_log_as_configured_is_fine(broker: EmbeddedBroker, topics: Topics) -> None:
    assert await log.brokers(settings(broker, topics)) == f"{broker.bootstrap_servers}, 1 broker"
    assert await log.topics(settings(broker, topics)) == "all there, and as configured"
    assert (await log.backlog(settings(broker, topics))).startswith("filter 0, route 0, ")


@pytest.mark.flow
async def test_topics_that_are_missing_are_named(broker: EmbeddedBroker) -> None:
    with pytest.raises(NoSuchTopicError, match=r"nothing\.requests\.v1"):
        await log.topics(settings(broker, Topics("nothing.")))


@pytest.mark.flow
@pytest.mark.usefixtures("coordinated")
async def test_a_stage_without_a_worker_is_named_with_what_waits_for_it(broker: EmbeddedBroker, topics: Topics) -> None:
    async with KafkaProducer(broker.bootstrap_servers) as producer:
        for _ in range(3):
            await producer.send(ProducerRecord(topics.outcomes.name, b"k", b"v", partition=1))

    with pytest.raises(
        CheckFailed, match=r"reply \(4, 3 records wait\).*; start `sluice run filter route call reply audit`"
    ):
        await log.stages(settings(broker, topics))


@pytest.mark.parametrize(
    ("copies", "said"),
    [
        (ReplicaStatus(1, (("t", 0),), ()), r"without a leader: t\[0\]; are all brokers up"),
        (
            ReplicaStatus(2, (), tuple(("t", n) for n in range(5))),
            r"under-replicated partitions: t\[0\], .*t\[2\] and 2 more",
        ),
    ],
)
async def test_partitions_without_a_leader_or_a_copy_are_named(
    copies: ReplicaStatus, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found(*_: object) -> ReplicaStatus:
        return copies

    monkeypatch.setattr(log, "replica_status", found)

    with pytest.raises(CheckFailed, match=said):
        await log.brokers(Settings())
