"""What a provider says in its headers of the rates that it allows: how much, how much is left, and when it is renewed.

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
"""A reset beyond this is a mistake."""
MINUTE_S = 60.0


class _HeaderNames(NamedTuple):
    """The names of one dialect's headers, with ``{}`` for limit, remaining or reset."""

    requests: str
    tokens: tuple[str, ...]
    """The first that is there counts."""


HEADER_STYLES = (
    _HeaderNames("x-ratelimit-{}-requests", ("x-ratelimit-{}-tokens",)),
    _HeaderNames(
        "anthropic-ratelimit-requests-{}", ("anthropic-ratelimit-tokens-{}", "anthropic-ratelimit-input-tokens-{}")
    ),
    _HeaderNames("x-ratelimit-{}-req-minute", ("x-ratelimit-{}-tokens-minute",)),
)


def rate_state(headers: Mapping[str, str], now_s: float | None = None) -> RateState | None:
    """Read the rate headers of any dialect; None if there are none that make sense.

    Args:
        headers: with lower-case names.
        now_s: seconds since the epoch, for a reset that is a date.

    """
    for words in HEADER_STYLES:
        requests = _budget(headers, words.requests, now_s)
        tokens = next((found for name in words.tokens if (found := _budget(headers, name, now_s))), None)
        if requests or tokens:
            return RateState(requests, tokens)
    return None


def _budget(headers: Mapping[str, str], name: str, now_s: float | None) -> Budget | None:
    remaining = headers.get(name.format("remaining"))
    if remaining is None:  # the usual case, and cheap
        return None
    limit, left = _parse_count(headers.get(name.format("limit"))), _parse_count(remaining)
    if limit is None or left is None or limit <= 0 or left > limit:
        return None
    reset_s = _reset_s(headers.get(name.format("reset"), ""), time.time() if now_s is None else now_s)
    return Budget(limit, left, reset_s if 0 < reset_s <= MAX_RESET_S else MINUTE_S)


def _parse_count(text: str | None) -> float | None:
    """Read a number of requests or tokens; -1, which Azure has sent, is none."""
    return float(text) if text is not None and text.strip().isdecimal() else None


def _reset_s(text: str, now_s: float) -> float:
    """Read a duration or a date, in seconds from now; 0 if it is neither."""
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
