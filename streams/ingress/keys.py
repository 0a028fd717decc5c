"""Who is calling. A key is shown once, when it is made; only its hash is kept, here and in the configuration."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from dataclasses import dataclass

from schemas.events import Failure
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
            RefusedError: 401, no key was shown, or a wrong one.

        """
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


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches this address. A name other than localhost is not trusted to be one."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
