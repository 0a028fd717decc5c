"""Token counts: lenient reading, one OpenAI usage object."""

from __future__ import annotations


def count(counts: object, name: str) -> int:
    """A number of tokens; what is missing or no count is zero."""
    value = counts.get(name) if isinstance(counts, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
