"""Check of Host and Origin: an open gateway serves only this machine (defence against DNS rebinding).

Listening on loopback is not enough. A web page in a browser on this machine can send requests to loopback too, and can
even read the answers if its own name resolves to 127.0.0.1. The headers of its requests name its origin.
"""

from __future__ import annotations

import functools
from urllib.parse import urlsplit

from streams.config.api_keys import is_loopback


def is_local(headers: dict[bytes, bytes]) -> bool:
    """Return whether neither Host nor Origin names another machine or site."""
    host, origin = headers.get(b"host"), headers.get(b"origin")
    return (host is None or _names_loopback(b"//" + host)) and (origin is None or _names_loopback(origin))


@functools.lru_cache(maxsize=256)
def _names_loopback(url: bytes) -> bool:
    try:
        return is_loopback(urlsplit(url.decode("ascii")).hostname or "")
    except ValueError:
        return False
