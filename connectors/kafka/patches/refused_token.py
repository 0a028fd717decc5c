"""A broker that refuses a token is understood: what it answers then is no welcome.

It answers a token that it does not take with a challenge (RFC 7628, section 3.2.2), and closes the connection later.
aiokafka takes every answer for success: its client starts, knows no broker, and fails somewhere else.
"""

from __future__ import annotations

from typing import Any

from aiokafka.conn import OAuthAuthenticator
from aiokafka.errors import SaslAuthenticationFailed

from connectors.kafka.security.oauth import TokenSource


def apply() -> None:
    """Make every connection of this process see the difference. Twice is as good as once."""
    step = OAuthAuthenticator.step
    if getattr(step, "mended", False):
        return

    async def mended(authenticator: OAuthAuthenticator, answer: bytes | None) -> Any:  # noqa: ANN401 - aiokafka's own
        if authenticator._token_sent and answer:  # noqa: SLF001 - it keeps no public state
            if isinstance(provider := authenticator._sasl_oauth_token_provider, TokenSource):  # noqa: SLF001 - the same
                provider.forget()
            raise SaslAuthenticationFailed("the token was refused")
        return await step(authenticator, answer)

    mended.mended = True  # type: ignore[attr-defined]
    OAuthAuthenticator.step = mended
