from __future__ import annotations

import asyncio

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from connectors.kafka.patches import closed_transport


async def write_to_a_connection_that_was_just_closed() -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()[:2]
        connection = AIOKafkaConnection(host, port)
        connection._closed_fut = asyncio.get_running_loop().create_future()
        connection._reader, connection._writer = await asyncio.open_connection(host, port)
        connection._read_task = asyncio.create_task(asyncio.sleep(60))
        connection._versions = {MetadataRequest([]).API_KEY: (0, 5)}
        connection._writer.transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        try:
            await connection.send(MetadataRequest([]))
        finally:
            assert not connection.connected()


def test_it_is_a_lost_connection_on_uvloop_too() -> None:
    closed_transport.apply()

    with pytest.raises(KafkaConnectionError):
        uvloop.run(write_to_a_connection_that_was_just_closed())


def test_mending_twice_is_as_good_as_once() -> None:
    closed_transport.apply()
    send = AIOKafkaConnection.send

    closed_transport.apply()

    assert AIOKafkaConnection.send is send
