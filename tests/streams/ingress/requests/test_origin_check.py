from __future__ import annotations

import pytest

from streams.config.api_keys import is_loopback
from streams.ingress.requests.origin_check import is_local
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
    ],
)
def test_request_is_local_if_host_and_origin_are_local(headers: dict[bytes, bytes], expected: bool) -> None:
    assert is_local(headers) is expected


async def test_page_of_another_site_can_not_use_an_open_gateway(gateway: Gateway) -> None:
    headers = {"Origin": "https://evil.example", "Content-Type": "text/plain"}

    response = await gateway.http.post("/v1/chat/completions", json=CHAT, headers=headers)

    assert (response.status_code, response.json()["error"]["code"]) == (403, "not_local")
    assert gateway.log.requests() == []
