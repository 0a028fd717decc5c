"""Health endpoint of a process that runs workers: ``/healthz`` for container checks, ``/metrics`` for Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from streams.http.server import Server, listening
from streams.runtime.worker import Worker


class WorkerMetrics(Collector):
    """Prometheus collector of the workers' gauges, read at each scrape."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers

    def collect(self) -> list[GaugeMetricFamily]:
        """Return the gauges of every stage in this process."""
        gauges: tuple[tuple[str, str, Callable[[Worker], float]], ...] = (
            ("sluice_worker_healthy", "1 while the worker makes progress.", lambda worker: worker.is_healthy),
            ("sluice_worker_partitions", "Partitions assigned to this worker.", lambda worker: worker.assigned),
            ("sluice_worker_open_records", "Records under way in this worker.", lambda worker: worker.in_flight),
        )
        families = []
        for name, help_text, read in gauges:
            family = GaugeMetricFamily(name, help_text, labels=["stage"])
            for worker in self._workers:
                family.add_metric([worker.stage.name], read(worker))
            families.append(family)
        return families


async def serve(workers: Sequence[Worker], host: str, port: int, stop: asyncio.Event) -> None:
    """Serve ``/healthz`` (200 while every worker makes progress, otherwise 503 with the stuck stages) and ``/metrics``.

    Raises:
        ConfigurationError: the port can't be used.

    """

    async def healthz(_: Request) -> Response:
        stuck = [worker.stage.name for worker in workers if not worker.is_healthy]
        return JSONResponse({"stuck": stuck} if stuck else {"status": "ok"}, status_code=503 if stuck else 200)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    app = Starlette(routes=[Route("/healthz", healthz), Route("/metrics", metrics)])
    server = Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    with listening(host, port, "SLUICE_HEALTH_PORT") as listener, _registered(WorkerMetrics(workers)):
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        server.should_exit = True
        await serving


@contextlib.contextmanager
def _registered(collector: Collector) -> Iterator[None]:
    REGISTRY.register(collector)
    try:
        yield
    finally:
        REGISTRY.unregister(collector)
