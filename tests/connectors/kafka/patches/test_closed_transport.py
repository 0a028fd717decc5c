from __future__ import annotations

import asyncio

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest


async def send_on_a_closed_transport() -> None:
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


def test_send_on_a_closed_uvloop_transport_raises_a_connection_error() -> None:
    with pytest.raises(KafkaConnectionError):
        uvloop.run(send_on_a_closed_transport())
