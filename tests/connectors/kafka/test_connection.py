from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from connectors.kafka import BrokerUnavailableError, client_settings
from connectors.kafka.connection import admin_client, translate_errors
from connectors.kafka.embedded.broker import EmbeddedBroker


def test_every_client_is_told_where_kafka_is() -> None:
    assert client_settings("a:1,b:2") == {"bootstrap_servers": "a:1,b:2"}


async def test_a_fault_of_ours_is_not_called_one_of_the_network() -> None:
    with pytest.raises(ZeroDivisionError):
        async with translate_errors("127.0.0.1:1"):
            raise ZeroDivisionError


async def test_nobody_listening_is_one_sentence(free_port: Callable[[], int]) -> None:
    bootstrap = f"127.0.0.1:{free_port()}"

    with pytest.raises(BrokerUnavailableError) as raised:
        async with admin_client(bootstrap):
            pass

    assert str(raised.value) == f"Kafka at {bootstrap} does not answer; is it running? SLUICE_KAFKA names it"


@pytest.mark.flow
async def test_a_client_is_closed_behind_its_block(broker: EmbeddedBroker) -> None:
    before = asyncio.all_tasks()

    async with admin_client(broker.bootstrap_servers) as client:
        assert await client.describe_cluster()

    assert asyncio.all_tasks() == before
