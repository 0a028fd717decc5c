"""Delays between attempts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence


def backoff(delays_s: Sequence[float]) -> Iterator[float]:
    """Yield each delay in seconds, then repeat the last one forever.

    Args:
        delays_s: at least one delay, usually increasing.

    """
    return itertools.chain(delays_s, itertools.repeat(delays_s[-1]))
