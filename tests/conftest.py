"""What many tests share: a real Kafka, started once and only if one of them asks; topics of one's own on it."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import AsyncIterator, Callable

import hypothesis
import pytest
import pytest_asyncio

from connectors.kafka import ensure_topics, patches
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.topics import Topics

# a slow machine is no fault of the code; and CI tries the same examples each time, so that what lands is what was tried
hypothesis.settings.register_profile("here", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("ci", hypothesis.settings.get_profile("here"), derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")

patches.apply()  # as a program does before it opens its first Kafka client

pytest_plugins = ["tests.fixtures.clickhouse", "tests.fixtures.gateway", "tests.fixtures.secured"]


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A function that finds a port on loopback that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@pytest_asyncio.fixture(scope="session")
async def broker(
    tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> AsyncIterator[EmbeddedBroker]:
    """Apache Kafka for the whole run. A test that stops or kills it starts one of its own instead."""
    async with EmbeddedBroker(tmp_path_factory.mktemp("kafka"), free_port()) as running:
        yield running


@pytest_asyncio.fixture
async def topics(broker: EmbeddedBroker) -> Topics:
    """Every topic of the pipeline, made on the broker under a prefix that no other test has."""
    made = Topics(f"t{uuid.uuid4().hex[:8]}.")
    await ensure_topics(broker.bootstrap_servers, (*made.all, *made.dead_letters), 1)
    return made
