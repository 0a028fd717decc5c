"""Tokens for OAUTHBEARER: asked for once, used by every client of the process until shortly before they expire."""

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
"""Less than a client waits for its connection, so that the sentence is about the token."""
_LARGEST_BYTES = 256 * 1024
_ASK_AGAIN_S = 2.0
"""After a failure: clients that try again and again must not be a flood at the endpoint."""
_SPARE_S = 60.0
"""A token is renewed so long before it expires, but never before four fifths of its life."""


class TokenError(AuthenticationFailedError):  # type: ignore[misc]
    """There is no token, for a reason in one sentence. A KafkaError, so that a client that runs tries again."""


@functools.cache
def token_source(oauth: OAuth) -> TokenSource:
    """The one source of these tokens in this process."""
    return TokenSource(oauth)


class TokenSource(AbstractTokenProvider):  # type: ignore[misc]
    """Client credentials in, access tokens out. Serves several event loops: a consumer of Faust has its own."""

    def __init__(self, oauth: OAuth) -> None:
        self._oauth = oauth
        self._token = ""
        self._asked_at = self._renew_at = 0.0
        self._failure: tuple[float, TokenError] | None = None

    async def token(self) -> str:
        """A token that is good for a while yet.

        Raises:
            TokenError: the endpoint does not answer within 3 s, refuses, or says something else.

        """
        now = time.monotonic()
        if now >= self._renew_at:
            if self._failure and now < self._failure[0] + _ASK_AGAIN_S:
                raise TokenError(str(self._failure[1]))
            try:
                self._token, lifetime_s = _read(self._oauth, await self._ask())
            except TokenError as error:
                self._failure = time.monotonic(), error
                raise
            self._asked_at, self._renew_at = now, now + max(lifetime_s - _SPARE_S, lifetime_s * 0.8)
        return self._token

    def forget(self) -> None:
        """Kafka refuses this token, though it has not expired: the next one may be signed with another key."""
        if time.monotonic() >= self._asked_at + _ASK_AGAIN_S:
            self._renew_at = 0.0

    async def _ask(self) -> Response:
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
                limit_bytes=_LARGEST_BYTES,
            )
        except NoResponseError as error:
            raise TokenError(
                f"no token for Kafka: {_place(oauth)} gives no answer ({error.error_type});"
                " kafka.security.oauth.token_endpoint_url names it"
            ) from error
        finally:
            await client.close()


def _read(oauth: OAuth, response: Response) -> tuple[str, float]:
    """The token, and for how many seconds it is good; 0 if nobody says, so that each connection asks anew."""
    if response.status != httpx.codes.OK:
        raise TokenError(
            f"no token for Kafka: {_place(oauth)} refuses client {oauth.client_id!r} with status {response.status};"
            " check client_id, client_secret and scope under kafka.security.oauth"
        )
    try:
        answer = orjson.loads(response.content)
        token, lifetime_s = answer["access_token"], float(answer.get("expires_in") or 0)
    except (ValueError, TypeError, KeyError, AttributeError):
        token, lifetime_s = "", 0.0
    if not isinstance(token, str) or not token:
        raise TokenError(
            f"no token for Kafka: {_place(oauth)} answers without an access_token;"
            " is kafka.security.oauth.token_endpoint_url the token endpoint?"
        )
    return token, lifetime_s


def _place(oauth: OAuth) -> str:
    url = httpx.URL(oauth.token_endpoint_url)
    return f"{url.scheme}://{url.netloc.decode()}"
