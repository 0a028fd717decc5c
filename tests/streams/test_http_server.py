from __future__ import annotations

import asyncio
import signal
import socket

import uvicorn
from starlette.applications import Starlette

from streams.http_server import Server
from tests.polling import eventually


async def test_a_server_that_serves_leaves_the_signals_alone() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    server = Server(uvicorn.Config(Starlette(), log_config=None, lifespan="off"))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await eventually(lambda: server.started)
        during = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        server.should_exit = True
        await serving

    assert during == before
