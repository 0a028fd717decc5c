"""Shared fixtures: a real Kafka, started once when a test needs it, and separate topics for each test."""

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

# no deadline, because the machine may be slow; CI tries the same examples in each run
hypothesis.settings.register_profile("local", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("ci", hypothesis.settings.get_profile("local"), derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")

patches.apply()  # as a program does before it opens its first Kafka client

pytest_plugins = ["tests.fixtures.clickhouse", "tests.fixtures.gateway", "tests.fixtures.secured"]


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A function that returns a free port of the loopback interface."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@pytest_asyncio.fixture(scope="session")
async def broker(
    tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> AsyncIterator[EmbeddedBroker]:
    """Apache Kafka for the whole test run. A test that stops or kills a broker starts its own."""
    async with EmbeddedBroker(tmp_path_factory.mktemp("kafka"), free_port()) as running:
        yield running


@pytest_asyncio.fixture
async def topics(broker: EmbeddedBroker) -> Topics:
    """All topics of the pipeline, created with a unique prefix."""
    created = Topics(f"t{uuid.uuid4().hex[:8]}.")
    await ensure_topics(broker.bootstrap_servers, (*created.all, *created.dead_letters), 1)
    return created
