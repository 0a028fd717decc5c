"""Response headers: every text becomes a value that can be sent.

The server refuses to send a header with a control character, and closes the connection without a response: after a call
that was paid for. The middleware cleans the headers of every response here, wherever their texts come from.
"""

from __future__ import annotations

import re

MAX_VALUE_BYTES = 1024
"""Proxies refuse responses whose headers exceed 4 to 8 KB."""

Headers = list[tuple[bytes, bytes]]

_UNSAFE = re.compile(rb"[^\x20-\x7e\xa0-\xff]")


def encode_header(text: str) -> bytes:
    """Return a text as the value of a header; characters outside Latin-1 become question marks."""
    return text.encode("latin-1", "replace")


def clean_headers(headers: Headers) -> Headers:
    """Return the headers with a question mark for each control character, and with values of at most 1,024 bytes."""
    values = b"".join([value for _, value in headers])
    if len(values) <= MAX_VALUE_BYTES and not _UNSAFE.search(values):
        return headers
    return [(name, _UNSAFE.sub(b"?", value[:MAX_VALUE_BYTES])) for name, value in headers]
