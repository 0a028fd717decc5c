"""A non-empty challenge of the broker counts as a rejected OAUTHBEARER token.

A broker answers a token that it rejects with a challenge (RFC 7628, section 3.2.2), and closes the connection later.
aiokafka takes every answer for success: its client starts, knows no broker, and fails later for another reason.
"""

from __future__ import annotations

from typing import Any

from aiokafka.conn import OAuthAuthenticator
from aiokafka.errors import SaslAuthenticationFailed

from connectors.kafka.security.oauth import TokenSource


def apply() -> None:
    """Make every connection of this process raise SaslAuthenticationFailed, and forget the rejected token."""
    original = OAuthAuthenticator.step

    async def step(authenticator: OAuthAuthenticator, answer: bytes | None) -> Any:  # noqa: ANN401 - aiokafka's own
        if authenticator._token_sent and answer:  # noqa: SLF001 - it keeps no public state
            if isinstance(provider := authenticator._sasl_oauth_token_provider, TokenSource):  # noqa: SLF001 - the same
                provider.forget()
            raise SaslAuthenticationFailed("the token was refused")
        return await original(authenticator, answer)

    OAuthAuthenticator.step = step
