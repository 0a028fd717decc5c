"""Reader of request headers, and the table of those that a request may have once.

A proxy in front may check the first of two headers while a server uses the last. Such a request is refused, whatever
the values are. Lists (RFC 9110, 5.3), such as Accept or Forwarded, may come several times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from streams.ingress.errors import ApiError, bad_request

HEADERS = "sluice.headers"
"""Key in the ASGI scope: the headers as a dictionary, after they were checked."""

SINGLE_VALUED = frozenset(
    {
        # The caller, and what a proxy or a browser says about it
        b"authorization",
        b"proxy-authorization",
        b"x-api-key",
        b"api-key",
        b"x-goog-api-key",
        b"host",
        b"origin",
        b"referer",
        b"sec-fetch-dest",
        b"sec-fetch-mode",
        b"sec-fetch-site",
        b"sec-fetch-user",
        b"user-agent",
        # The body
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"content-range",
        b"expect",
        # The request
        b"idempotency-key",
        b"prefer",
        b"traceparent",
        b"last-event-id",
        b"x-request-id",
        b"request-id",
        b"x-request-timeout",
        b"x-sluice-lane",
        b"anthropic-version",
        b"openai-organization",
        b"openai-project",
    }
)
"""Names in lower case. All other headers of Sluice itself are found by ``OWN_PREFIX``.

Content-Encoding and Prefer are lists by their own definitions, but the ingress reads one value of each.
"""

OWN_PREFIX = b"x-sluice-"


def read_headers(pairs: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers by name in lower case. Of a list that comes several times, the last header is returned.

    Raises:
        ApiError: 400, a header that may come once comes twice.

    """
    headers = dict(pairs)
    if len(headers) != len(pairs) and (name := _first_repeated(name for name, _ in pairs)):
        raise _repeated_error(name)
    return headers


def is_single_valued(name: bytes) -> bool:
    """Return whether a request may have this header only once."""
    return name in SINGLE_VALUED or name.startswith(OWN_PREFIX)


def _first_repeated(names: Iterable[bytes]) -> bytes | None:
    """Return the first header that may not be repeated and is."""
    return next((name for name, count in Counter(names).items() if count > 1 and is_single_valued(name)), None)


def _repeated_error(name: bytes) -> ApiError:
    # Errors are recorded, and a caller may write anything after the prefix.
    known = name.decode() if name in SINGLE_VALUED else f"{OWN_PREFIX.decode()}…"
    return bad_request("repeated_header", f"The header {known} comes twice. Send it once.")
