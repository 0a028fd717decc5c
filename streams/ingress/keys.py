"""Who is calling. A key is shown once, when it is made; only its hash is kept, here and in the configuration."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from schemas.events import Failure
from streams.ingress.locality import is_local, is_loopback
from streams.ingress.refusals import THEIRS, RefusedError
from streams.settings import OPEN_TENANT, ConfigurationError, Settings

PREFIX = "sk-sluice-"
_RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a key belongs to."""

    tenant: str
    key_id: str = ""
    """Empty in open mode."""


def hash_key(plain: str) -> str:
    """What the configuration holds of a key. No salt is needed: a key is 256 random bits, not a password."""
    return "sha256:" + hashlib.sha256(plain.encode()).hexdigest()


def new_key() -> tuple[str, str]:
    """A fresh key and its hash. The key can't be had again."""
    plain = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    return plain, hash_key(plain)


def unauthorized(message: str) -> RefusedError:
    """Refuse with 401, as OpenAI does."""
    failure = Failure(status=401, type=THEIRS, code="invalid_api_key", message=message)
    return RefusedError(failure, {"WWW-Authenticate": "Bearer"})


def _not_local() -> RefusedError:
    message = "Without keys this gateway takes calls from this machine alone; `sluice keys new` makes one."
    return RefusedError(Failure(status=403, type=THEIRS, code="not_local", message=message))


class Keyring:
    """The configured keys. With none, the gateway is open: everybody is the open tenant."""

    def __init__(self, settings: Settings) -> None:
        self.is_open = not settings.keys
        # Looking up the hash tells a guesser nothing by its time: it says how hashes differ, not how keys do.
        self._callers = {key.hash: Caller(key.tenant, key.id) for key in settings.keys}

    def identify(self, authorization: bytes, api_key: bytes = b"") -> Caller | None:
        """The caller behind `Authorization: Bearer …` or `x-api-key: …`; None if no such key is configured."""
        if self.is_open:
            return Caller(OPEN_TENANT)
        scheme, _, token = authorization.partition(b" ")
        shown = token.strip() if scheme.lower() == b"bearer" else api_key.strip()
        return self._callers.get("sha256:" + hashlib.sha256(shown).hexdigest())

    def authenticate(self, headers: dict[bytes, bytes]) -> Caller:
        """The caller of an HTTP request.

        Raises:
            RefusedError: 401, no key was shown, or a wrong one; 403, the gateway is open and this is not from here.

        """
        if self.is_open and not is_local(headers):
            raise _not_local()
        authorization, api_key = headers.get(b"authorization", b""), headers.get(b"x-api-key", b"")
        caller = self.identify(authorization, api_key)
        if caller is not None:
            return caller
        if authorization or api_key:
            raise unauthorized("This API key is not known here. Ask whoever runs this gateway for one.")
        raise unauthorized("No API key was sent. Send one as `Authorization: Bearer sk-sluice-…`.")


def check_binding(settings: Settings) -> None:
    """Make sure that an open gateway is reachable from this machine alone.

    Raises:
        ConfigurationError: no keys are configured, and http.host is not a loopback address.

    """
    if not settings.keys and not is_loopback(settings.http.host):
        raise ConfigurationError(
            f"http.host: {settings.http.host} can be reached by others, and no keys are configured; "
            "make one with `sluice keys new`, or bind 127.0.0.1"
        )
