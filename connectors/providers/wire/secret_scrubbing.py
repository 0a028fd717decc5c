"""No secret of ours comes back in: what a provider sends is freed of the keys that it was called with.

Some servers repeat the key that they did not like, in an error or, as test servers do, in an answer. What they repeat
would be on the log, in ClickHouse, and with the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

REPLACEMENT = "***"
_MIN_SECRET_CHARS = 6
"""Of a secret that is looked for: a shorter one would be found in the middle of innocent words."""
_PARTLY_MASKED_KEY = re.compile(r"[A-Za-z0-9_-]{1,16}(\*{3,}|…|\.{4,}|•{3,})[A-Za-z0-9_-]{1,16}")
"""A key as some providers show it, its ends in clear."""


class SecretScrubber:
    """Knows some secrets, and takes them out."""

    def __init__(self, secrets: Iterable[str]) -> None:
        words = {word for secret in secrets for word in (secret, *secret.split())}  # "Bearer sk-…" is two
        spelled = {
            way for word in words if len(word) >= _MIN_SECRET_CHARS for way in (word, quote(word), quote_plus(word))
        }
        spelled -= {"Bearer", "Basic"}
        self._texts = sorted(spelled, key=len, reverse=True)
        self._bytes = [text.encode() for text in self._texts]

    def scrub(self, content: bytes) -> bytes:
        """Return what was sent, without them. JSON stays JSON."""
        for secret in self._bytes:
            if secret in content:
                content = content.replace(secret, REPLACEMENT.encode())
        return content

    def scrub_message(self, text: str) -> str:
        """Return an error's words without them, and without what is left of a key that the provider has half hidden."""
        for secret in self._texts:
            text = text.replace(secret, REPLACEMENT)
        return _PARTLY_MASKED_KEY.sub(REPLACEMENT, text)
