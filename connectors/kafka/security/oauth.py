"""Access tokens for OAUTHBEARER, shared by all clients of the process until shortly before they expire."""

from __future__ import annotations

import base64
import functools
import time
from urllib.parse import quote_plus, urlencode

import httpx
import orjson
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError

from connectors.http_client import HttpClient, NoResponseError, Response
from connectors.kafka.security.settings import OAuth

_TIMEOUT_S = 3.0
"""Less than a client's connect timeout, so that the error is about the token."""
_MAX_RESPONSE_BYTES = 256 * 1024
_RETRY_S = 2.0
"""Least time between requests after a failure, so that retrying clients do not flood the endpoint."""
_RENEW_BEFORE_S = 60.0
"""A token is renewed this long before it expires, but not before four fifths of its lifetime."""


class TokenError(AuthenticationFailedError):  # type: ignore[misc]
    """No token could be obtained; the message is one sentence. A KafkaError, so that running clients try again."""


@functools.cache
def token_source(oauth: OAuth) -> TokenSource:
    """Return the process's token source for these settings."""
    return TokenSource(oauth)


class TokenSource(AbstractTokenProvider):  # type: ignore[misc]
    """Obtains access tokens with client credentials. It can be used from several event loops."""

    def __init__(self, oauth: OAuth) -> None:
        self._oauth = oauth
        self._token = ""
        self._requested_at = self._renew_at = 0.0
        self._failure: tuple[float, TokenError] | None = None

    async def token(self) -> str:
        """Return a token that is not about to expire.

        Raises:
            TokenError: the endpoint does not answer within 3 s, refuses, or returns an invalid response.

        """
        now = time.monotonic()
        if now >= self._renew_at:
            if self._failure and now < self._failure[0] + _RETRY_S:
                raise TokenError(str(self._failure[1]))
            try:
                self._token, lifetime_s = _read(self._oauth, await self._request())
            except TokenError as error:
                self._failure = time.monotonic(), error
                raise
            self._requested_at, self._renew_at = now, now + max(lifetime_s - _RENEW_BEFORE_S, lifetime_s * 0.8)
        return self._token

    def forget(self) -> None:
        """Discard a token that Kafka rejects before its expiry: the next one may be signed with another key."""
        if time.monotonic() >= self._requested_at + _RETRY_S:
            self._renew_at = 0.0

    async def _request(self) -> Response:
        oauth, form = self._oauth, {"grant_type": "client_credentials"}
        if oauth.scope:
            form["scope"] = oauth.scope
        # both are form-encoded before they are joined: RFC 6749, section 2.3.1
        login = f"{quote_plus(oauth.client_id)}:{quote_plus(oauth.client_secret.get_secret_value())}"
        headers = {
            "authorization": f"Basic {base64.b64encode(login.encode()).decode()}",
            "content-type": "application/x-www-form-urlencoded",
        }
        client = HttpClient(headers, max_connections=1)
        try:
            return await client.post(
                httpx.URL(oauth.token_endpoint_url),
                urlencode(form).encode(),
                timeout_s=_TIMEOUT_S,
                limit_bytes=_MAX_RESPONSE_BYTES,
            )
        except NoResponseError as error:
            raise TokenError(
                f"no token for Kafka: {_origin(oauth)} does not answer ({error.error_type});"
                " kafka.security.oauth.token_endpoint_url names it"
            ) from error
        finally:
            await client.close()


def _read(oauth: OAuth, response: Response) -> tuple[str, float]:
    """Return the token and its lifetime in seconds; 0 if it is unknown, so that each connection requests a new one."""
    if response.status != httpx.codes.OK:
        raise TokenError(
            f"no token for Kafka: {_origin(oauth)} refuses client {oauth.client_id!r} with status {response.status};"
            " check client_id, client_secret and scope under kafka.security.oauth"
        )
    try:
        answer = orjson.loads(response.content)
        token, lifetime_s = answer["access_token"], float(answer.get("expires_in") or 0)
    except (ValueError, TypeError, KeyError, AttributeError):
        token, lifetime_s = "", 0.0
    if not isinstance(token, str) or not token:
        raise TokenError(
            f"no token for Kafka: {_origin(oauth)} answers without an access_token;"
            " is kafka.security.oauth.token_endpoint_url the token endpoint?"
        )
    return token, lifetime_s


def _origin(oauth: OAuth) -> str:
    url = httpx.URL(oauth.token_endpoint_url)
    return f"{url.scheme}://{url.netloc.decode()}"
