from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.kafka import BrokerUnavailableError, client_settings
from connectors.kafka.connection import admin_client, consumer_settings, translate_errors
from connectors.kafka.embedded.broker import EmbeddedBroker


def test_client_settings_have_the_bootstrap_servers() -> None:
    assert client_settings("a:1,b:2") == {"bootstrap_servers": "a:1,b:2"}


async def test_translate_errors_leaves_other_errors() -> None:
    with pytest.raises(ZeroDivisionError):
        async with translate_errors("127.0.0.1:1"):
            raise ZeroDivisionError


async def test_no_listener_raises_broker_unavailable(free_port: Callable[[], int]) -> None:
    bootstrap = f"127.0.0.1:{free_port()}"

    with pytest.raises(BrokerUnavailableError) as raised:
        async with admin_client(bootstrap):
            pass

    assert str(raised.value) == f"Kafka at {bootstrap} does not answer; is it running? SLUICE_KAFKA names it"


@pytest.mark.flow
async def test_admin_client_is_closed_after_the_block(broker: EmbeddedBroker) -> None:
    before = asyncio.all_tasks()

    async with admin_client(broker.bootstrap_servers) as client:
        assert await client.describe_cluster()

    assert asyncio.all_tasks() == before


def test_every_consumer_is_created_with_the_settings_that_read_committed_records_only() -> None:
    sources = [path.read_text() for path in Path("connectors").rglob("*.py")]
    created = [re.sub(r"\s", "", source).count("AIOKafkaConsumer(") for source in sources]
    committed = [re.sub(r"\s", "", source).count("AIOKafkaConsumer(**consumer_settings(") for source in sources]

    assert consumer_settings("a:1")["isolation_level"] == "read_committed"
    assert sum(created) >= 6
    assert created == committed
