"""Check of Host, Origin and Sec-Fetch-Site: an open gateway serves only this machine, and no web page of another site.

Listening on loopback is not enough. A web page in a browser on this machine can send requests to loopback too, and can
even read the answers if its own name resolves to 127.0.0.1 (DNS rebinding). The headers of its requests name its
origin, or say that they come from another one.
"""

from __future__ import annotations

import functools
import ipaddress
from urllib.parse import urlsplit

from streams.config.api_keys import is_loopback

_NO_OTHER_SITE = frozenset({b"none", b"same-origin"})
"""Values of Sec-Fetch-Site for a request that no page of another origin caused."""


def is_local(headers: dict[bytes, bytes]) -> bool:
    """Return whether no header names another machine or another site."""
    host = headers.get(b"host")
    return (host is None or _names_loopback(b"//" + host)) and comes_from_no_other_site(headers)


def is_local_probe(headers: dict[bytes, bytes]) -> bool:
    """Return the same for a probe, which may also name any IP address as Host, as load balancers do.

    DNS rebinding needs a name, so an address is as safe as no Host.
    """
    host = headers.get(b"host")
    return (host is None or _names_address(b"//" + host)) and comes_from_no_other_site(headers)


def comes_from_no_other_site(headers: dict[bytes, bytes]) -> bool:
    """Check Origin, and without it Sec-Fetch-Site: a script or an image has no Origin."""
    origin = headers.get(b"origin")
    return headers.get(b"sec-fetch-site", b"none") in _NO_OTHER_SITE if origin is None else _names_loopback(origin)


@functools.lru_cache(maxsize=256)
def _names_loopback(url: bytes) -> bool:
    return is_loopback(_host_name(url))


@functools.lru_cache(maxsize=256)
def _names_address(url: bytes) -> bool:
    name = _host_name(url)
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return name == "localhost"


def _host_name(url: bytes) -> str:
    """Return the host name of a URL; empty if it has none that can be read."""
    try:
        return urlsplit(url.decode("ascii")).hostname or ""
    except ValueError:
        return ""
