"""Headers that come twice: names, doubles and spellings of case."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events.catalog import RequestSettled
from streams.config.api_keys import hash_key
from streams.ingress.errors import ApiError
from streams.ingress.requests.single_headers import SINGLE_VALUED, is_single_valued, read_headers
from tests.streams.ingress.gateway import CHAT, on_socket, running

OWN = st.from_regex(rb"x-sluice-[a-z-]{1,20}", fullmatch=True)
SINGLE = st.one_of(st.sampled_from(sorted(SINGLE_VALUED)), OWN)
LISTS = [b"accept", b"accept-encoding", b"cookie", b"forwarded", b"via", b"x-forwarded-for", b"tracestate", b"baggage"]
PAIRS = st.lists(st.tuples(st.sampled_from(LISTS), st.binary(max_size=9)), max_size=5)
NAMES = [*sorted(SINGLE_VALUED - {b"host", b"content-length"}), b"x-sluice-anything"]
"""Without those two that the server refuses before the application has the request."""
PLAIN, OTHER_PLAIN = ("sk-sluice-" + letter * 43 for letter in "ko")
TENANTS = {
    "tenants": {"acme": {}, "globex": {}},
    "keys": [
        {"id": "acme-1", "tenant": "acme", "hash": hash_key(PLAIN)},
        {"id": "globex-1", "tenant": "globex", "hash": hash_key(OTHER_PLAIN)},
    ],
}


@given(SINGLE, st.binary(max_size=9), st.binary(max_size=9), PAIRS, st.randoms())
def test_single_valued_header_is_refused_twice_whatever_its_values_and_neighbours(
    name: bytes, first: bytes, second: bytes, others: list[tuple[bytes, bytes]], random: object
) -> None:
    pairs = [(name, first), *others, (name, second)]
    random.shuffle(pairs)  # type: ignore[attr-defined]

    with pytest.raises(ApiError) as caught:
        read_headers(pairs)

    failure = caught.value.failure
    assert (failure.status, failure.code) == (400, "repeated_header")
    assert (name if name in SINGLE_VALUED else b"x-sluice-").decode() in failure.message


@given(PAIRS, st.lists(SINGLE, unique=True, max_size=5))
def test_list_headers_may_come_several_times(others: list[tuple[bytes, bytes]], names: list[bytes]) -> None:
    headers = read_headers([*others, *((name, b"once") for name in names)])

    assert headers == dict(others) | dict.fromkeys(names, b"once")


def test_every_header_that_the_ingress_reads_is_single_valued() -> None:
    sources = [path.read_text() for path in Path("streams/ingress").rglob("*.py")]
    read = {name for source in sources for name in re.findall(r'headers\.get\(b?"([a-z-]+)"', source)} - {"accept"}

    assert {"authorization", "idempotency-key", "last-event-id", "origin"} < read
    assert [name for name in sorted(read) if not is_single_valued(name.encode())] == []


def _spell(name: bytes, spelling: str) -> bytes:
    return {"lower": name.lower(), "upper": name.upper(), "title": name.title()}[spelling]


@pytest.mark.parametrize("path", [b"POST /v1/chat/completions", b"GET /metrics", b"POST /v1/feedback", b"GET /unknown"])
@pytest.mark.parametrize("values", [(b"a", b"a"), (b"a", b"b"), (b"", b"a")], ids=["same", "different", "empty"])
async def test_every_spelling_of_a_doubled_header_is_refused_on_a_socket(
    path: bytes, values: tuple[bytes, bytes]
) -> None:
    spellings = [("lower", "upper"), ("title", "title"), ("upper", "title")]
    async with on_socket() as server:
        for number, name in enumerate(NAMES):
            one, two = (_spell(name, spelling) for spelling in spellings[number % 3])
            head = b"%s HTTP/1.1\r\nHost: localhost\r\n%s: %s\r\n%s: %s\r\n" % (path, one, values[0], two, values[1])

            received = await server.exchange(head + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")

            error = orjson.loads(received.partition(b"\r\n\r\n")[2])["error"]
            assert received.startswith(b"HTTP/1.1 400 "), (name, received)
            assert error["code"] == "repeated_header"
            assert (name if name in SINGLE_VALUED else b"x-sluice-").decode() in error["message"]
        assert all(isinstance(event, RequestSettled) for event in server.gateway.log.events())


@settings(max_examples=40, deadline=None)
@given(st.permutations([PLAIN, OTHER_PLAIN, "sk-wrong"]), st.sampled_from(["authorization", "x-api-key"]))
def test_no_order_of_two_keys_authenticates(keys: list[str], name: str) -> None:
    async def ask() -> int:
        async with running(**TENANTS) as gateway:
            values = [f"Bearer {key}" if name == "authorization" else key for key in keys[:2]]
            response = await gateway.http.post(
                "/v1/chat/completions", json=CHAT, headers=[(name, value) for value in values]
            )
            assert gateway.log.requests() == []
            return response.status_code

    assert asyncio.run(ask()) == 400


@pytest.mark.parametrize(("bearer", "api_key"), [(PLAIN, OTHER_PLAIN), (OTHER_PLAIN, PLAIN), ("sk-wrong", PLAIN)])
async def test_two_different_keys_in_two_headers_do_not_authenticate(bearer: str, api_key: str) -> None:
    async with running(**TENANTS) as gateway:
        headers = {"Authorization": f"Bearer {bearer}", "x-api-key": api_key}

        response = await gateway.chat(headers)

    assert response.status_code == 401
    assert "different keys" in response.json()["error"]["message"]


async def test_same_key_in_two_headers_authenticates() -> None:
    async with running(**TENANTS) as gateway:
        response = await gateway.chat({"Authorization": f"Bearer {PLAIN}", "x-api-key": PLAIN})

    assert response.status_code == 200


async def test_repeated_header_of_an_inference_request_is_recorded() -> None:
    async with running() as gateway:
        headers = [("Idempotency-Key", "a"), ("idempotency-key", "b"), ("content-type", "application/json")]
        response = await gateway.http.post("/v1/chat/completions", json=CHAT, headers=headers)

        (event,) = gateway.log.events()

    assert response.status_code == 400
    assert isinstance(event, RequestSettled)
    assert event.failure is not None
    assert event.failure.code == "repeated_header"
