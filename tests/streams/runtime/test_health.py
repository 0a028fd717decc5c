from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import cast

import httpx
import pytest

from streams.config.settings import ConfigurationError
from streams.runtime import health
from streams.runtime.worker import Worker
from tests.eventually import eventually


@dataclass
class Stage:
    name: str


@dataclass
class Figures:
    """The attributes of a worker that the endpoint reads."""

    stage: Stage
    is_healthy: bool = True
    assigned: int = 4
    in_flight: int = 7


@dataclass
class Process:
    """Running health endpoint."""

    workers: list[Figures]
    url: str
    stop: asyncio.Event
    serving: asyncio.Task[None]

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(f"{self.url}{path}")


@pytest.fixture
async def process(free_port: Callable[[], int]) -> AsyncIterator[Process]:
    port, stop = free_port(), asyncio.Event()
    workers = [Figures(Stage("filter")), Figures(Stage("route"))]
    serving = asyncio.create_task(health.serve(cast("list[Worker]", workers), "127.0.0.1", port, stop))
    made = Process(workers, f"http://127.0.0.1:{port}", stop, serving)

    async def answers() -> bool:
        try:
            return (await made.get("/healthz")).status_code > 0
        except httpx.ConnectError:
            return False

    await eventually(answers)
    yield made
    stop.set()
    await serving


async def test_healthz_is_200_while_every_worker_makes_progress(process: Process) -> None:
    answer = await process.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_healthz_is_503_and_names_a_stuck_worker(process: Process) -> None:
    process.workers[1].is_healthy = False

    answer = await process.get("/healthz")

    assert (answer.status_code, answer.json()) == (503, {"stuck": ["route"]})


async def test_metrics_has_gauges_of_each_worker(process: Process) -> None:
    process.workers[0].is_healthy = False

    text = (await process.get("/metrics")).text

    assert 'sluice_worker_healthy{stage="filter"} 0.0' in text
    assert 'sluice_worker_partitions{stage="route"} 4.0' in text
    assert 'sluice_worker_open_records{stage="route"} 7.0' in text


async def test_health_server_stops_and_can_start_again(process: Process) -> None:
    process.stop.set()
    await asyncio.wait_for(process.serving, 5)

    stopped = asyncio.Event()
    stopped.set()
    await asyncio.wait_for(health.serve(cast("list[Worker]", process.workers), "127.0.0.1", 0, stopped), 5)


async def test_taken_health_port_is_a_configuration_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigurationError, match="SLUICE_HEALTH_PORT"):
        await health.serve([], "127.0.0.1", taken.getsockname()[1], asyncio.Event())
