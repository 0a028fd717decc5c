"""``/healthz``, ``/readyz`` and ``/metrics``: probes for monitoring. They need no key and expose no secrets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import orjson
from prometheus_client import exposition
from starlette.requests import Request
from starlette.responses import Response

from connectors.kafka import KafkaFaultError
from streams.ingress.metrics import Metrics

CACHED_S = 0.5
"""Time for which the state of the consumer groups is reused, for any number of probes."""

Missing = Callable[[], Awaitable[Mapping[str, Sequence[object]]]]
"""Returns the partitions without a worker, by stage: ``connectors.kafka.Groups.missing``."""


class Readiness:
    """Readiness of the gateway: every stage has a worker on every partition."""

    def __init__(self, missing: Missing) -> None:
        self._missing = missing
        self._lock = asyncio.Lock()
        self._checked_at = float("-inf")
        self._missing_workers: dict[str, int] | None = None

    async def missing_workers(self) -> dict[str, int] | None:
        """Return how many partitions lack a worker, by stage; empty when ready, None if the broker does not answer."""
        async with self._lock:
            if time.monotonic() - self._checked_at > CACHED_S:
                self._missing_workers = await self._check()
                self._checked_at = time.monotonic()
            return self._missing_workers

    async def _check(self) -> dict[str, int] | None:
        try:
            missing = await self._missing()
        except KafkaFaultError:
            return None
        return {stage: len(partitions) for stage, partitions in missing.items() if partitions}


class ProbeEndpoints:
    """Endpoints of the probes."""

    def __init__(self, readiness: Readiness, metrics: Metrics) -> None:
        self._readiness = readiness
        self._metrics = metrics

    async def healthz(self, http: Request) -> Response:  # noqa: ARG002 - an endpoint's signature
        """Answer 200 while the event loop runs."""
        return _json({"status": "ok"})

    async def readyz(self, http: Request) -> Response:  # noqa: ARG002 - an endpoint's signature
        """Answer 200 if a request would be answered, else 503 with the missing workers."""
        missing = await self._readiness.missing_workers()
        if missing is None:
            return _json({"status": "unavailable", "reason": "the broker does not answer"}, 503)
        if missing:
            return _json({"status": "unavailable", "partitions_without_worker": missing}, 503)
        return _json({"status": "ready"})

    async def metrics(self, http: Request) -> Response:
        """Return all metrics, in the text format that the scraper accepts."""
        encode, content_type = exposition.choose_encoder(http.headers.get("accept", ""))
        return Response(encode(self._metrics.registry), headers={"content-type": content_type})


def _json(document: Mapping[str, object], status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")
