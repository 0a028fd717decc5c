from __future__ import annotations

import pytest
from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import OAuthAuthenticator
from aiokafka.errors import SaslAuthenticationFailed

CHALLENGE = b'{"status":"invalid_token"}'


class FixedToken(AbstractTokenProvider):  # type: ignore[misc]
    async def token(self) -> str:
        return "a.b.c"


@pytest.fixture
def authenticator() -> OAuthAuthenticator:
    return OAuthAuthenticator(sasl_oauth_token_provider=FixedToken())


async def test_empty_answer_completes_the_login(authenticator: OAuthAuthenticator) -> None:
    sent, _ = await authenticator.step(None)

    assert b"auth=Bearer a.b.c" in sent
    assert await authenticator.step(b"") is None


async def test_challenge_raises_an_authentication_error(authenticator: OAuthAuthenticator) -> None:
    await authenticator.step(None)

    with pytest.raises(SaslAuthenticationFailed):
        await authenticator.step(CHALLENGE)
