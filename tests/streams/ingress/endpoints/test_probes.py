from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from connectors.kafka import BrokerUnavailableError
from streams.config.api_keys import new_key
from streams.ingress.endpoints import probes
from streams.ingress.endpoints.probes import Readiness
from tests.streams.ingress.gateway import Gateway, running


async def test_ready_if_every_stage_has_all_its_partitions(gateway: Gateway) -> None:
    gateway.missing = {"filter": [], "call": []}

    response = await gateway.http.get("/readyz")

    assert (response.status_code, response.json()) == (200, {"status": "ready"})


async def test_unready_response_names_the_stages_without_workers(gateway: Gateway) -> None:
    gateway.missing = {"filter": [], "call": [("llm.routed.v1", 0), ("llm.routed.v1", 1)]}

    response = await gateway.http.get("/readyz")

    assert response.status_code == 503
    assert response.json()["partitions_without_worker"] == {"call": 2}


async def test_ingress_without_a_broker_is_alive_but_not_ready(gateway: Gateway) -> None:
    async def away() -> Mapping[str, Sequence[object]]:
        raise BrokerUnavailableError("Kafka does not answer")

    assert await Readiness(away).missing_workers() is None
    assert (await gateway.http.get("/healthz")).status_code == 200


async def test_concurrent_probes_query_the_broker_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "CACHED_S", 60)
    asked = 0

    async def missing() -> Mapping[str, Sequence[object]]:
        nonlocal asked
        asked += 1
        return {}

    readiness = Readiness(missing)

    assert [await readiness.missing_workers() for _ in range(3)] == [{}, {}, {}]
    assert asked == 1


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_probes_need_no_key(path: str) -> None:
    _, hashed = new_key()
    async with running(tenants={"acme": {}}, keys=[{"id": "a", "tenant": "acme", "hash": hashed}]) as gateway:
        assert (await gateway.http.get(path)).status_code == 200


async def test_metrics_have_the_text_format_of_the_accept_header(gateway: Gateway) -> None:
    plain = await gateway.http.get("/metrics")
    modern = await gateway.http.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})

    assert plain.headers["content-type"].startswith("text/plain")
    assert modern.text.endswith("# EOF\n")
