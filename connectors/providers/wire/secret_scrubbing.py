"""Removal of the gateway's API keys from provider responses.

Some servers repeat the key that they refused in an error, and test servers do so in answers. Without the removal it
would be written to Kafka and ClickHouse and sent to the caller.

Some servers repeat the key that they did not like, in an error or, as test servers do, in an answer. What they repeat
would be on the log, in ClickHouse, and with the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

REPLACEMENT = "***"
_MIN_SECRET_CHARS = 6
"""Minimum length of a removed secret: a shorter one would match in the middle of ordinary words."""
_PARTLY_MASKED_KEY = re.compile(r"[A-Za-z0-9_-]{1,16}(\*{3,}|…|\.{4,}|•{3,})[A-Za-z0-9_-]{1,16}")
"""A key as some providers print it, masked except for its ends."""


class SecretScrubber:
    """Replacement of known secrets in bodies and messages."""

    def __init__(self, secrets: Iterable[str]) -> None:
        words = {word for secret in secrets for word in (secret, *secret.split())}  # "Bearer sk-…" is two words
        forms = {
            form for word in words if len(word) >= _MIN_SECRET_CHARS for form in (word, quote(word), quote_plus(word))
        }
        forms -= {"Bearer", "Basic"}
        self._texts = sorted(forms, key=len, reverse=True)
        self._bytes = [text.encode() for text in self._texts]

    def scrub(self, content: bytes) -> bytes:
        """Return a body without the secrets. JSON stays valid."""
        for secret in self._bytes:
            if secret in content:
                content = content.replace(secret, REPLACEMENT.encode())
        return content

    def scrub_message(self, text: str) -> str:
        """Return an error message without the secrets, and without keys that the provider has partly masked."""
        for secret in self._texts:
            text = text.replace(secret, REPLACEMENT)
        return _PARTLY_MASKED_KEY.sub(REPLACEMENT, text)
