"""Rate limits in response headers: the limit, the remaining amount, and the time until it is restored.

Sources: OpenAI's and Azure's guides on rate limits (x-ratelimit-…, reset as Go's duration or in bare seconds),
Anthropic's (anthropic-ratelimit-…, reset as RFC 3339), and Mistral's answers (…-minute, without a reset).
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from typing import NamedTuple

from connectors.providers.resilience import Budget, RateState
from connectors.providers.wire.errors import go_duration_s

MAX_RESET_S = 24 * 3600.0
"""A longer reset is treated as a mistake of the provider."""
MINUTE_S = 60.0


class _HeaderNames(NamedTuple):
    """Names of one provider's headers, with ``{}`` for limit, remaining or reset."""

    requests: str
    tokens: tuple[str, ...]
    """The first one that is present is used."""


HEADER_STYLES = (
    _HeaderNames("x-ratelimit-{}-requests", ("x-ratelimit-{}-tokens",)),
    _HeaderNames(
        "anthropic-ratelimit-requests-{}", ("anthropic-ratelimit-tokens-{}", "anthropic-ratelimit-input-tokens-{}")
    ),
    _HeaderNames("x-ratelimit-{}-req-minute", ("x-ratelimit-{}-tokens-minute",)),
)


def rate_state(headers: Mapping[str, str], now_s: float | None = None) -> RateState | None:
    """Read the rate limits of any provider's headers; None without plausible ones.

    Args:
        headers: response headers with lower-case names.
        now_s: seconds since the Unix epoch, for a reset that is a date.

    """
    for style in HEADER_STYLES:
        requests = _budget(headers, style.requests, now_s)
        tokens = next((found for name in style.tokens if (found := _budget(headers, name, now_s))), None)
        if requests or tokens:
            return RateState(requests, tokens)
    return None


def _budget(headers: Mapping[str, str], name: str, now_s: float | None) -> Budget | None:
    remaining = headers.get(name.format("remaining"))
    if remaining is None:  # the usual case
        return None
    limit, left = _parse_count(headers.get(name.format("limit"))), _parse_count(remaining)
    if limit is None or left is None or limit <= 0 or left > limit:
        return None
    reset_s = _reset_s(headers.get(name.format("reset"), ""), time.time() if now_s is None else now_s)
    return Budget(limit, left, reset_s if 0 < reset_s <= MAX_RESET_S else MINUTE_S)


def _parse_count(text: str | None) -> float | None:
    """Parse a number of requests or tokens; None if it is not one, as the -1 that Azure has sent."""
    return float(text) if text is not None and text.strip().isdecimal() else None


def _reset_s(text: str, now_s: float) -> float:
    """Parse a duration or a date into seconds from now; 0 if it is neither."""
    seconds = go_duration_s(text.strip())
    if seconds is not None:
        return seconds
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        return 0.0
    return moment.replace(tzinfo=moment.tzinfo or dt.UTC).timestamp() - now_s
