from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from connectors.kafka import BrokerUnavailableError, client_settings
from connectors.kafka.connection import admin_client, translate_errors
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
