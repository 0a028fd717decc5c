"""``/healthz``, ``/readyz`` and ``/metrics``: for machines that watch this one. They need no key and tell no secret."""

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
"""How long one look at the consumer groups serves, however many ask."""

Missing = Callable[[], Awaitable[Mapping[str, Sequence[object]]]]
"""The partitions that have no worker, by stage: ``connectors.kafka.Groups.missing``."""


class Readiness:
    """Whether a request would be answered now: every stage has a worker on every partition."""

    def __init__(self, missing: Missing) -> None:
        self._missing = missing
        self._lock = asyncio.Lock()
        self._seen_at = float("-inf")
        self._seen: dict[str, int] | None = None

    async def missing_workers(self) -> dict[str, int] | None:
        """How many partitions lack a worker, by stage; empty when ready, None if the broker can't be asked."""
        async with self._lock:
            if time.monotonic() - self._seen_at > CACHED_S:
                self._seen = await self._look()
                self._seen_at = time.monotonic()
            return self._seen

    async def _look(self) -> dict[str, int] | None:
        try:
            missing = await self._missing()
        except KafkaFaultError:
            return None
        return {stage: len(partitions) for stage, partitions in missing.items() if partitions}


class ProbeEndpoints:
    """The three of them."""

    def __init__(self, readiness: Readiness, metrics: Metrics) -> None:
        self._readiness = readiness
        self._metrics = metrics

    async def healthz(self, http: Request) -> Response:  # noqa: ARG002 - an endpoint's signature
        """200 as long as the event loop turns."""
        return _json({"status": "ok"})

    async def readyz(self, http: Request) -> Response:  # noqa: ARG002 - an endpoint's signature
        """200 if a request would be answered, else 503 and what is missing."""
        lacking = await self._readiness.missing_workers()
        if lacking is None:
            return _json({"status": "unavailable", "reason": "the broker does not answer"}, 503)
        if lacking:
            return _json({"status": "unavailable", "partitions_without_worker": lacking}, 503)
        return _json({"status": "ready"})

    async def metrics(self, http: Request) -> Response:
        """Everything that is counted, in the text format that the scraper asks for."""
        encode, content_type = exposition.choose_encoder(http.headers.get("accept", ""))
        return Response(encode(self._metrics.registry), headers={"content-type": content_type})


def _json(document: Mapping[str, object], status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")
