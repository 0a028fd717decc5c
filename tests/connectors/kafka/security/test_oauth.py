from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from connectors.kafka.security import oauth as module
from connectors.kafka.security.oauth import TokenError, TokenSource
from connectors.kafka.security.settings import OAuth
from tests.fixtures.identity_provider import CLIENT, SECRET, IdentityProvider


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    made = IdentityProvider()
    yield made
    made.close()


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def tokens(provider: IdentityProvider, **other: str) -> TokenSource:
    said = {"token_endpoint_url": f"{provider.url}/token", "client_id": CLIENT, "client_secret": SECRET, **other}
    return TokenSource(OAuth.model_validate(said))


async def test_token_is_renewed_60_s_before_it_expires(provider: IdentityProvider, clock: Clock) -> None:
    source = tokens(provider)
    first = await source.token()

    clock.now += 3500
    kept = await source.token()
    clock.now += 60
    renewed = await source.token()

    assert kept == first
    assert renewed != first
    assert provider.forms == [{"grant_type": "client_credentials"}] * 2


async def test_short_lived_token_is_used_for_80_percent_of_its_life(provider: IdentityProvider, clock: Clock) -> None:
    provider.expires_in = 10
    source = tokens(provider)
    first = await source.token()

    clock.now += 7.9
    kept = await source.token()
    clock.now += 0.2

    assert kept == first
    assert await source.token() != first


async def test_token_without_a_lifetime_is_requested_each_time(provider: IdentityProvider) -> None:
    provider.expires_in = None
    source = tokens(provider, scope="kafka read")

    await source.token()
    await source.token()

    assert provider.forms == [{"grant_type": "client_credentials", "scope": "kafka read"}] * 2


async def test_rejected_token_is_replaced_at_most_every_2_s(provider: IdentityProvider, clock: Clock) -> None:
    source = tokens(provider)
    first = await source.token()

    source.forget()
    kept = await source.token()
    clock.now += 3
    source.forget()

    assert kept == first
    assert await source.token() != first


@pytest.mark.parametrize(
    ("status", "content", "sentence"),
    [
        (401, b'{"error": "invalid_client", "secret": "canary"}', "refuses client 'sluice:1' with status 401"),
        (200, b"<html>canary</html>", "answers without an access_token"),
        (200, b"[]", "answers without an access_token"),
        (200, b'{"access_token": 5}', "answers without an access_token"),
        (200, b'{"access_token": "t", "expires_in": "soon"}', "answers without an access_token"),
    ],
)
async def test_invalid_token_response_is_an_error_without_its_content(
    provider: IdentityProvider, status: int, content: bytes, sentence: str
) -> None:
    provider.canned_response = status, content

    with pytest.raises(TokenError) as raised:
        await tokens(provider).token()

    assert sentence in str(raised.value)
    assert provider.url in str(raised.value)
    assert "canary" not in str(raised.value)
    assert SECRET not in str(raised.value)


async def test_failure_is_repeated_without_a_request_for_2_s(provider: IdentityProvider, clock: Clock) -> None:
    source = tokens(provider)
    provider.canned_response = 503, b""
    with pytest.raises(TokenError, match="status 503"):
        await source.token()
    provider.canned_response = None

    with pytest.raises(TokenError, match="status 503"):
        await source.token()
    clock.now += 3

    assert await source.token()


async def test_unreachable_token_endpoint_is_an_error_that_names_the_setting() -> None:
    settings = OAuth.model_validate(
        {"token_endpoint_url": "http://127.0.0.1:1/token", "client_id": CLIENT, "client_secret": SECRET}
    )

    with pytest.raises(TokenError, match=r"http://127\.0\.0\.1:1 does not answer \(network\); kafka\.security\.oauth"):
        await TokenSource(settings).token()


def test_event_loops_share_a_token(provider: IdentityProvider) -> None:
    source = tokens(provider)

    first, second = asyncio.run(source.token()), asyncio.run(source.token())

    assert first == second
