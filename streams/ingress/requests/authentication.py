"""Authentication by API key. The plain key is shown once, when it is created; only its hash is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from schemas.events.parts import Failure
from streams.config.settings import ANONYMOUS_TENANT, Key
from streams.ingress.errors import INVALID_REQUEST_ERROR, ApiError
from streams.ingress.requests.origin_check import comes_from_no_other_site, is_local, is_local_probe

LIVENESS = "/healthz"


@dataclass(frozen=True, slots=True)
class Principal:
    """Authenticated caller."""

    tenant: str
    key_id: str = ""
    """Empty if no keys are configured."""


def unauthorized_error(message: str) -> ApiError:
    """Return a 401 error, as OpenAI's API does."""
    failure = Failure(status=401, type=INVALID_REQUEST_ERROR, code="invalid_api_key", message=message)
    return ApiError(failure, {"WWW-Authenticate": "Bearer"})


def _not_local() -> ApiError:
    message = "Without API keys, the gateway accepts only local requests. Create a key with `sluice keys new`."
    return ApiError(Failure(status=403, type=INVALID_REQUEST_ERROR, code="not_local", message=message))


class ApiKeyAuthenticator:
    """The configured API keys. Without any, the gateway is open: every caller is the default tenant."""

    def __init__(self, keys: Iterable[Key]) -> None:
        # The lookup is not constant-time. Its time depends on the hash alone, which says nothing about the key.
        self._principals = {key.hash: Principal(key.tenant, key.id) for key in keys}
        self.is_open = not self._principals

    def lookup(self, authorization: bytes, api_key: bytes = b"") -> Principal | None:
        """Return the caller of `Authorization: Bearer …` or `x-api-key: …`; None if no such key is configured."""
        if self.is_open:
            return Principal(ANONYMOUS_TENANT)
        key = _bearer_token(authorization) or api_key.strip()
        return self._principals.get("sha256:" + hashlib.sha256(key).hexdigest()) if key else None

    def authenticate(self, headers: dict[bytes, bytes]) -> Principal:
        """Return the caller of an HTTP request.

        Raises:
            ApiError: 401, the key is missing or invalid, or there are two; 403, no keys are configured and the request
                is not local.

        """
        if self.is_open and not is_local(headers):
            raise _not_local()
        authorization, api_key = headers.get(b"authorization", b""), headers.get(b"x-api-key", b"")
        if api_key and not self.is_open and _bearer_token(authorization) not in {b"", api_key.strip()}:
            raise unauthorized_error("Authorization and x-api-key have different keys. Send one key.")
        caller = self.lookup(authorization, api_key)
        if caller is not None:
            return caller
        if authorization or api_key:
            raise unauthorized_error("Invalid API key.")
        raise unauthorized_error("Missing API key. Send it as `Authorization: Bearer sk-sluice-…`.")

    def check_origin(self, path: str, headers: dict[bytes, bytes]) -> None:
        """Check a request to a path that needs no key. ``/healthz`` says nothing, so it has any Host.

        Raises:
            ApiError: 403, no keys are configured, and a web page of another site may have caused the request.

        """
        is_allowed = comes_from_no_other_site if path == LIVENESS else is_local_probe
        if self.is_open and not is_allowed(headers):
            raise _not_local()


def _bearer_token(authorization: bytes) -> bytes:
    """Return the token of ``Authorization: Bearer …``; empty for any other value."""
    scheme, _, token = authorization.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""
