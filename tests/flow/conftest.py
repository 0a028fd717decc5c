"""Fixtures for tests that kill their broker."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.kafka.admin.topics import ensure_topics
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.topics import Topics


@pytest.fixture
async def own_broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    """A separate broker for one test, which may kill it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with EmbeddedBroker(tmp_path / "kafka", port) as broker:
        yield broker


@pytest.fixture
async def own_topics(own_broker: EmbeddedBroker) -> Topics:
    """All topics on the separate broker."""
    topics = Topics()
    await ensure_topics(own_broker.bootstrap_servers, (*topics.all, *topics.dead_letters), 1)
    return topics
