from __future__ import annotations

import asyncio
import signal
import socket

import pytest
import uvicorn
from starlette.applications import Starlette

from streams.config.settings import ConfigurationError
from streams.http.server import Server, listening
from tests.eventually import eventually


async def test_running_server_installs_no_signal_handler() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    server = Server(uvicorn.Config(Starlette(), log_config=None, lifespan="off"))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await eventually(lambda: server.started)
        during = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        server.should_exit = True
        await serving

    assert during == before


def test_listening_on_a_taken_port_raises_an_error_that_names_the_variable() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigurationError, match=r"can't listen on 127.*\(Address.*set SLUICE_HEALTH_PORT to"),
        listening("127.0.0.1", taken.getsockname()[1], "SLUICE_HEALTH_PORT"),
    ):
        pass
