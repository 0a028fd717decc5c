"""Who is calling. A key is shown once, when it is made; only its hash is kept, here and in the configuration."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from schemas.events.parts import Failure
from streams.config.settings import ANONYMOUS_TENANT, Settings
from streams.ingress.errors import INVALID_REQUEST_ERROR, ApiError
from streams.ingress.requests.origin_check import is_local


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a key belongs to."""

    tenant: str
    key_id: str = ""
    """Empty in open mode."""


def unauthorized(message: str) -> ApiError:
    """Refuse with 401, as OpenAI does."""
    failure = Failure(status=401, type=INVALID_REQUEST_ERROR, code="invalid_api_key", message=message)
    return ApiError(failure, {"WWW-Authenticate": "Bearer"})


def _not_local() -> ApiError:
    message = "Without keys this gateway takes calls from this machine alone; `sluice keys new` makes one."
    return ApiError(Failure(status=403, type=INVALID_REQUEST_ERROR, code="not_local", message=message))


class ApiKeyAuthenticator:
    """The configured keys. With none, the gateway is open: everybody is the open tenant."""

    def __init__(self, settings: Settings) -> None:
        self.is_open = not settings.keys
        # Looking up the hash tells a guesser nothing by its time: it says how hashes differ, not how keys do.
        self._principals = {key.hash: Principal(key.tenant, key.id) for key in settings.keys}

    def lookup(self, authorization: bytes, api_key: bytes = b"") -> Principal | None:
        """The caller behind `Authorization: Bearer …` or `x-api-key: …`; None if no such key is configured."""
        if self.is_open:
            return Principal(ANONYMOUS_TENANT)
        scheme, _, token = authorization.partition(b" ")
        shown = token.strip() if scheme.lower() == b"bearer" else api_key.strip()
        return self._principals.get("sha256:" + hashlib.sha256(shown).hexdigest())

    def authenticate(self, headers: dict[bytes, bytes]) -> Principal:
        """The caller of an HTTP request.

        Raises:
            RefusedError: 401, no key was shown, or a wrong one; 403, the gateway is open and this is not from here.

        """
        if self.is_open and not is_local(headers):
            raise _not_local()
        authorization, api_key = headers.get(b"authorization", b""), headers.get(b"x-api-key", b"")
        caller = self.lookup(authorization, api_key)
        if caller is not None:
            return caller
        if authorization or api_key:
            raise unauthorized("This API key is not known here. Ask whoever runs this gateway for one.")
        raise unauthorized("No API key was sent. Send one as `Authorization: Bearer sk-sluice-…`.")
