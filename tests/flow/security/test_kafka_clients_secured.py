"""Tests of every Kafka client with each security mechanism on a real Kafka, and of the errors when the login fails."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Sequence

import pytest

from connectors.kafka import (
    Groups,
    KafkaProducer,
    PartitionReader,
    SecuredKafka,
    SecurityError,
    ensure_topics,
    group_assignments,
    lag,
)
from connectors.kafka.clients.follower import TopicFollower
from connectors.kafka.connection import admin_client
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from schemas.kafka.topics import Topics
from streams.pipeline.stage import TransformStage
from streams.runtime.worker import Worker
from tests.eventually import eventually
from tests.fixtures.certificates import CertificateAuthority
from tests.fixtures.identity_provider import IdentityProvider
from tests.fixtures.secured import MECHANISMS, PASSWORD, USER, SecuredBroker

pytestmark = pytest.mark.flow


class ForwardingStage(TransformStage):
    """Forwards each admitted record unchanged."""

    name = "route"

    def __init__(self, topics: Topics) -> None:
        self._topic, self._dead_letter_topic = topics.routed.name, topics.admitted.dead_letters

    def process(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:
        return [ProducerRecord(self._topic, record.key, record.value, dead_letter_topic=self._dead_letter_topic)]


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_every_client_can_connect(secured: SecuredBroker, mechanism: str) -> None:
    cluster, topics = secured.cluster(mechanism), Topics(f"t{uuid.uuid4().hex[:8]}.", 1)
    await ensure_topics(cluster, (*topics.all, *topics.dead_letters), 1)
    followed: list[ConsumerRecord] = []
    follower = TopicFollower(cluster, followed.append)
    worker, groups = Worker(ForwardingStage(topics), topics, cluster), Groups(cluster)

    async with contextlib.AsyncExitStack() as leaving:
        await worker.start()
        leaving.push_async_callback(worker.stop)
        leaving.push_async_callback(follower.stop)
        leaving.push_async_callback(groups.close)
        producer = await leaving.enter_async_context(KafkaProducer(cluster))
        reader = await leaving.enter_async_context(
            PartitionReader(cluster, [(topics.routed.name, 0)], begin="beginning")
        )
        await producer.send(ProducerRecord(topics.admitted.name, b"k", b"through"))
        routed = await eventually(reader.read, within=30)
        await follower.follow(topics.admitted.name, 0, 0)
        missing = await eventually(lambda: groups.missing(topics, ["route"]))
        held = await group_assignments(cluster, topics.group("route"))
        behind = await lag(cluster, topics.group("audit"), [topics.admitted])

    assert [record.value for record in routed] == [record.value for record in followed] == [b"through"]
    assert missing == {"route": []}
    assert (topics.admitted.name, 0) in held
    assert behind == {(topics.admitted.name, 0): 1}


async def connection_error(cluster: SecuredKafka) -> str:
    """Return the error of a client that can't connect, which must come within 15 s."""
    started = time.monotonic()
    with pytest.raises(SecurityError) as raised:
        async with admin_client(cluster):
            pass
    assert time.monotonic() - started < 15
    return str(raised.value).replace(str(cluster), "KAFKA")


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_wrong_password_is_one_sentence_that_names_the_settings(secured: SecuredBroker, mechanism: str) -> None:
    message = await connection_error(secured.cluster(mechanism, password="canary-wrong"))

    assert (
        message == f"Kafka at KAFKA refuses our login by {mechanism}; check username and password under kafka.security"
    )


async def test_producer_and_reader_raise_the_same_error(secured: SecuredBroker) -> None:
    cluster = secured.cluster("SCRAM-SHA-512", password="canary-wrong")

    for client in (KafkaProducer(cluster), PartitionReader(cluster, [("any", 0)])):
        with pytest.raises(SecurityError, match="refuses our login by SCRAM-SHA-512"):
            await client.start()


async def test_wrong_protocol_is_recognized_by_the_listeners_behaviour(secured: SecuredBroker) -> None:
    plain, tls = secured.broker.bootstrap_servers, secured.address("PLAIN")
    trust = {"ssl_cafile": str(secured.authority.file)}
    encrypted = {"security_protocol": "SSL", **trust}
    settings = secured.settings("PLAIN")

    def cluster(address: str, **settings: object) -> SecuredKafka:
        return SecuredKafka(address, type(secured.cluster("PLAIN").security).model_validate(settings))

    assert await connection_error(cluster(tls)) == closed("PLAINTEXT")
    assert await connection_error(cluster(tls, **encrypted)) == closed("SSL")
    assert await connection_error(cluster(plain, **encrypted)) == closed("SSL")
    assert "wants no login there" in await connection_error(
        cluster(plain, security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN", username=USER, password=PASSWORD)
    )
    assert "does not take PLAIN; kafka.security.sasl_mechanism" in await connection_error(
        cluster(secured.address("OAUTHBEARER"), **settings)
    )


def closed(protocol: str) -> str:
    return (
        f"Kafka at KAFKA closes the connection before it answers; kafka.security.security_protocol is {protocol},"
        " and its listener seems to have another"
    )


async def test_untrusted_broker_and_client_certificates_have_different_errors(secured: SecuredBroker) -> None:
    other_authority = CertificateAuthority(secured.folder, "stranger")
    certfile, keyfile = other_authority.issue("unknown")
    own = {"ssl_certfile": str(certfile), "ssl_keyfile": str(keyfile), "ssl_password": ""}

    theirs = await connection_error(secured.cluster("PLAIN", ssl_cafile=str(other_authority.file)))
    ours = await connection_error(secured.cluster("mTLS", **own))
    none = await connection_error(secured.cluster("mTLS", ssl_certfile="", ssl_keyfile="", ssl_password=""))

    assert "has an untrusted certificate" in theirs
    assert "kafka.security.ssl_cafile" in theirs
    assert "rejects our certificate" in ours
    assert "check kafka.security.ssl_certfile" in none


async def test_clients_share_one_token(secured: SecuredBroker) -> None:
    oauth = {**secured.settings("OAUTHBEARER")["oauth"], "scope": "kafka once"}
    cluster = secured.cluster("OAUTHBEARER", oauth=oauth)

    for _ in range(3):
        async with admin_client(cluster):
            pass

    requests = [form for form in secured.provider.forms if form.get("scope") == "kafka once"]
    assert requests == [{"grant_type": "client_credentials", "scope": "kafka once"}]


async def test_refused_client_and_rejected_token_have_different_errors(secured: SecuredBroker) -> None:
    oauth, foreign = secured.settings("OAUTHBEARER")["oauth"], IdentityProvider()
    with contextlib.closing(foreign):
        elsewhere = {**oauth, "token_endpoint_url": f"{foreign.url}/token"}

        wrong = await connection_error(secured.cluster("OAUTHBEARER", oauth={**oauth, "client_secret": "canary-wrong"}))
        stolen = await connection_error(secured.cluster("OAUTHBEARER", oauth=elsewhere))

    assert "refuses client 'sluice:1' with status 401" in wrong
    assert "canary" not in wrong
    assert "does not take our token" in stolen


async def test_failed_login_leaves_no_task(secured: SecuredBroker) -> None:
    before = asyncio.all_tasks()

    await connection_error(secured.cluster("SCRAM-SHA-512", password="canary-wrong"))

    await eventually(lambda: asyncio.all_tasks() == before)


async def test_operation_that_an_acl_forbids_is_an_error(secured: SecuredBroker) -> None:
    cluster = secured.cluster("SCRAM-SHA-512")

    with pytest.raises(SecurityError, match=r"denies permission \(GroupAuthorizationFailedError\)"):
        await group_assignments(cluster, "another-prefix")
