from __future__ import annotations

import pytest
from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import OAuthAuthenticator
from aiokafka.errors import SaslAuthenticationFailed

from connectors.kafka.patches import refused_token

CHALLENGE = b'{"status":"invalid_token"}'


class Fixed(AbstractTokenProvider):  # type: ignore[misc]
    async def token(self) -> str:
        return "a.b.c"


@pytest.fixture
def authenticator() -> OAuthAuthenticator:
    refused_token.apply()
    return OAuthAuthenticator(sasl_oauth_token_provider=Fixed())


async def test_an_empty_answer_is_a_welcome(authenticator: OAuthAuthenticator) -> None:
    sent, _ = await authenticator.step(None)

    assert b"auth=Bearer a.b.c" in sent
    assert await authenticator.step(b"") is None


async def test_a_challenge_is_a_refusal(authenticator: OAuthAuthenticator) -> None:
    await authenticator.step(None)

    with pytest.raises(SaslAuthenticationFailed):
        await authenticator.step(CHALLENGE)


def test_mending_twice_is_as_good_as_once() -> None:
    refused_token.apply()
    step = OAuthAuthenticator.step

    refused_token.apply()

    assert OAuthAuthenticator.step is step
