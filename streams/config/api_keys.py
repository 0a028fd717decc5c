"""API keys, and which addresses need one."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets

from streams.config.settings import ConfigurationError, Settings


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches this address. A name other than localhost is not trusted to be one."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


PREFIX = "sk-sluice-"


_RANDOM_BYTES = 32


def hash_key(plain: str) -> str:
    """What the configuration holds of a key. No salt is needed: a key is 256 random bits, not a password."""
    return "sha256:" + hashlib.sha256(plain.encode()).hexdigest()


def new_key() -> tuple[str, str]:
    """A fresh key and its hash. The key can't be had again."""
    plain = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    return plain, hash_key(plain)


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
