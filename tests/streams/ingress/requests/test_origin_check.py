from __future__ import annotations

import pytest

from streams.config.api_keys import is_loopback
from streams.ingress.requests.origin_check import is_local, is_local_probe
from tests.streams.ingress.gateway import CHAT, Gateway


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
    ],
)
def test_only_loopback_addresses_are_local(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, True),
        ({b"host": b"localhost:8080"}, True),
        ({b"host": b"[::1]:8080"}, True),
        ({b"host": b"127.0.0.1:8080", b"origin": b"http://localhost:3000"}, True),
        ({b"host": b"rebound.example:8080"}, False),
        ({b"host": b"[:8080"}, False),
        ({b"host": b"\xff"}, False),
        ({b"host": b"127.0.0.1", b"origin": b"https://evil.example"}, False),
        ({b"host": b"127.0.0.1", b"origin": b"null"}, False),
        ({b"host": b"127.0.0.1", b"sec-fetch-site": b"none"}, True),
        ({b"host": b"127.0.0.1", b"sec-fetch-site": b"same-origin"}, True),
        ({b"host": b"127.0.0.1", b"sec-fetch-site": b"cross-site"}, False),
        ({b"host": b"127.0.0.1", b"sec-fetch-site": b"same-site"}, False),
        ({b"host": b"127.0.0.1", b"sec-fetch-site": b"same-site", b"origin": b"http://localhost:3000"}, True),
        ({b"host": b"10.0.0.1:8080"}, False),
    ],
)
def test_request_is_local_if_host_and_origin_are_local(headers: dict[bytes, bytes], expected: bool) -> None:
    assert is_local(headers) is expected


async def test_page_of_another_site_can_not_use_an_open_gateway(gateway: Gateway) -> None:
    headers = {"Origin": "https://evil.example", "Content-Type": "text/plain"}

    response = await gateway.http.post("/v1/chat/completions", json=CHAT, headers=headers)

    assert (response.status_code, response.json()["error"]["code"]) == (403, "not_local")
    assert gateway.log.requests() == []


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, True),
        ({b"host": b"10.0.0.1:8080"}, True),
        ({b"host": b"[fd00::1]:8080"}, True),
        ({b"host": b"localhost"}, True),
        ({b"host": b"rebound.example:8080"}, False),
        ({b"host": b"10.0.0.1.rebound.example"}, False),
        ({b"host": b"10.0.0.1", b"origin": b"http://10.0.0.2"}, False),
        ({b"host": b"10.0.0.1", b"sec-fetch-site": b"cross-site"}, False),
    ],
)
def test_probe_may_name_an_address_as_host(headers: dict[bytes, bytes], expected: bool) -> None:
    assert is_local_probe(headers) is expected


PATHS = ["/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/models", "/v1/feedback", "/unknown", "/"]
PAGES = {
    "a page of another site": {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    "a sandboxed page": {"Origin": "null"},
    "a script or an image": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
    "a page of another port": {"Sec-Fetch-Site": "same-site"},
    "a rebound name": {"Host": "evil.example:8080"},
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("page", PAGES)
async def test_web_page_reads_nothing_of_an_open_gateway(gateway: Gateway, path: str, page: str) -> None:
    if path == "/healthz" and page == "a rebound name":
        return  # it says nothing, and load balancers name any host

    for method in ("GET", "POST", "OPTIONS", "HEAD"):
        response = await gateway.http.request(method, path, headers=PAGES[page])

        assert response.status_code == 403
        assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
@pytest.mark.parametrize("host", ["10.1.2.3:8080", "localhost", "127.0.0.1:8080", "[fd00::1]"])
async def test_probe_of_a_load_balancer_is_answered(gateway: Gateway, path: str, host: str) -> None:
    assert (await gateway.http.get(path, headers={"Host": host})).status_code == 200


async def test_liveness_probe_may_name_any_host(gateway: Gateway) -> None:
    assert (await gateway.http.get("/healthz", headers={"Host": "sluice.internal"})).status_code == 200
