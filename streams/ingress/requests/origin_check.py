"""Here and elsewhere: an open gateway is for this machine alone.

Listening on loopback is not enough for that. A web page that somebody on this machine looks at may send requests to
loopback too, and may even read the answers if its own name resolves to 127.0.0.1; its requests say where they are from.
"""

from __future__ import annotations

import functools
from urllib.parse import urlsplit

from streams.config.api_keys import is_loopback


def is_local(headers: dict[bytes, bytes]) -> bool:
    """Whether a request, by its Host and its Origin, is neither for another name nor from another site's page."""
    host, origin = headers.get(b"host"), headers.get(b"origin")
    return (host is None or _names_loopback(b"//" + host)) and (origin is None or _names_loopback(origin))


@functools.lru_cache(maxsize=256)
def _names_loopback(url: bytes) -> bool:
    try:
        return is_loopback(urlsplit(url.decode("ascii")).hostname or "")
    except ValueError:
        return False
