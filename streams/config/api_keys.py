"""API keys: creation, hashing, and the addresses that need one."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets

from streams.config.settings import ConfigurationError, Settings

PREFIX = "sk-sluice-"
_RANDOM_BYTES = 32


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches this address. Of names, only localhost counts as loopback."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def hash_key(plain: str) -> str:
    """Return the hash that the configuration holds. It needs no salt: a key is 256 random bits, not a password."""
    return "sha256:" + hashlib.sha256(plain.encode()).hexdigest()


def new_key() -> tuple[str, str]:
    """Return a new key and its hash. The key cannot be recovered from the hash."""
    plain = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    return plain, hash_key(plain)


def check_binding(settings: Settings) -> None:
    """Check that a gateway without keys listens on loopback only.

    Raises:
        ConfigurationError: no keys are configured, and http.host is not a loopback address.

    """
    if not settings.keys and not is_loopback(settings.http.host):
        raise ConfigurationError(
            f"http.host: other machines can reach {settings.http.host}, and no keys are configured;"
            " create one with `sluice keys new`, or bind 127.0.0.1"
        )
