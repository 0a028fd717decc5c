"""Classification of error responses in OpenAI's format and its variants, and the delay before a retry.

The status is read first, then the machine-readable type and code, and the message last: other gateways have taken
Bedrock's throttling text "Too many tokens, please wait" for an exceeded context length.

The status comes first, then the machine-readable type and code, and the message last: Bedrock's throttling text
"Too many tokens, please wait" was taken for a full context by others.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import math
import re
import time
from collections.abc import Mapping
from typing import NamedTuple

import orjson

from connectors.providers.provider import ProviderError
from schemas.events.vocabulary import ErrorType
from schemas.json_types import JsonObject

MESSAGE_CHARS = 1000
"""Longest part of a provider's message that is kept."""
MAX_RETRY_AFTER_S = 24 * 3600.0
"""A longer delay is treated as a mistake of the provider."""

RETRY_AFTER_HEADERS = (
    ("retry-after-ms", 0.001),
    ("x-ms-retry-after-ms", 0.001),
    ("x-amz-retry-after", 0.001),
    ("retry-after", 1.0),
)
"""Headers with the delay before a retry, and their unit in seconds; the first plausible one is used."""

BY_STATUS: dict[int, ErrorType] = {
    400: "invalid_request",
    401: "auth",
    402: "quota_exhausted",
    403: "auth",
    404: "not_found",
    408: "timeout",
    409: "server",  # a lock at the provider: OpenAI's own client retries it
    413: "request_too_large",
    422: "invalid_request",
    424: "server",  # TGI and TEI: the backend failed
    429: "rate_limited",
    498: "auth",  # Cohere: invalid token
    503: "capacity",
    504: "timeout",
    524: "timeout",  # Cloudflare's
    529: "capacity",  # overloaded
}

BY_CODE: dict[tuple[ErrorType, str], ErrorType] = {
    ("rate_limited", "insufficient_quota"): "quota_exhausted",
    ("rate_limited", "billing_hard_limit_reached"): "quota_exhausted",
    ("rate_limited", "billing_not_active"): "quota_exhausted",
    ("rate_limited", "credit_balance_exhausted"): "quota_exhausted",
    ("rate_limited", "organization_spend_limit_exceeded"): "quota_exhausted",
    ("rate_limited", "project_spend_limit_exceeded"): "quota_exhausted",
    ("rate_limited", "organization_usage_limit_exceeded"): "quota_exhausted",
    ("rate_limited", "server_is_overloaded"): "capacity",
    ("rate_limited", "overloaded"): "capacity",
    ("auth", "insufficient_quota"): "quota_exhausted",
    ("invalid_request", "billing_hard_limit_reached"): "quota_exhausted",
    ("invalid_request", "context_length_exceeded"): "context_length",
    ("invalid_request", "exceed_context_size_error"): "context_length",  # llama.cpp
    ("invalid_request", "content_filter"): "content_filter",  # Azure
    ("invalid_request", "content_policy_violation"): "content_filter",
    ("invalid_request", "model_not_found"): "not_found",
    ("invalid_request", "invalid_api_key"): "auth",
    ("server", "overloaded"): "capacity",  # TGI
    ("server", "server_is_overloaded"): "capacity",
}
"""Error type by the type of the status and the error's type or code."""

BY_MESSAGE: tuple[tuple[ErrorType, re.Pattern[str], ErrorType], ...] = (
    ("rate_limited", re.compile(r"exceeded your current quota|spend limit|billing", re.IGNORECASE), "quota_exhausted"),
    ("rate_limited", re.compile(r"high demand|overloaded|capacity exceeded", re.IGNORECASE), "capacity"),
    (
        "invalid_request",
        re.compile(
            r"context (length|window|size)|prompt is too long|too many tokens:|input is too long", re.IGNORECASE
        ),
        "context_length",
    ),
)
"""Error type by the type of the status and the message, for servers without codes."""


class ErrorDetails(NamedTuple):
    """Members of an error body."""

    type: str
    code: str
    message: str


def parse_error(status: int, headers: Mapping[str, str], content: bytes) -> ProviderError:
    """Classify an error response.

    Args:
        status: HTTP status.
        headers: with lower-case names.
        content: JSON in any format, a proxy's HTML, or empty.

    """
    details = read_error_details(content)
    message = details.message or f"HTTP {status} without a readable error"
    return ProviderError(
        classify(status, details), message[:MESSAGE_CHARS], http_status=status, retry_after_s=retry_after_s(headers)
    )


def classify(status: int, details: ErrorDetails) -> ErrorType:
    """Return the error type: by status, then by code and type, then by message."""
    fallback: ErrorType = "invalid_request" if 400 <= status < 500 else "server"  # noqa: PLR2004 - HTTP's own ranges
    by_status = BY_STATUS.get(status, fallback)
    for name in (details.code, details.type):
        if (by_status, name) in BY_CODE:
            return BY_CODE[by_status, name]
    for general, pattern, specific in BY_MESSAGE:
        if general == by_status and pattern.search(details.message):
            return specific
    return by_status


def read_error_details(content: bytes) -> ErrorDetails:
    """Read an error body in any format; what cannot be read is empty."""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return ErrorDetails("", "", "")
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return ErrorDetails("", "", body if isinstance(body, str) else "")
    error = body.get("error", body)
    if not isinstance(error, dict):  # TGI: {"error": text, "error_type": type}
        error = {"message": error, "type": body.get("error_type")}
    return ErrorDetails(_text(error.get("type")), _text(error.get("code")), _message(error))


def _message(error: JsonObject) -> str:
    if isinstance(error.get("message"), dict):  # Mistral wraps its detail once more
        error = error["message"]
    if error.get("message"):
        return _text(error["message"])
    detail = error.get("detail")  # FastAPI's and Mistral's
    if isinstance(detail, list):
        return "; ".join(_text(item.get("msg")) for item in detail if isinstance(item, dict))
    return _text(detail)


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) else ""


def retry_after_s(headers: Mapping[str, str], now_s: float | None = None) -> float | None:
    """Return the delay in seconds that the provider states before a retry; None if it states none."""
    for name, unit in RETRY_AFTER_HEADERS:
        seconds = _plausible(_number(headers.get(name), unit))
        if seconds is not None:
            return seconds
    date = _plausible(_seconds_until(headers.get("retry-after", ""), time.time() if now_s is None else now_s))
    if date is not None:
        return date
    resets = [_plausible(_rate_limit_reset_s(headers, kind)) for kind in ("requests", "tokens")]
    return max((reset for reset in resets if reset is not None), default=None)


def _plausible(seconds: float | None) -> float | None:
    if seconds is None or not math.isfinite(seconds) or not 0 < seconds <= MAX_RETRY_AFTER_S:
        return None
    return seconds


def _number(text: str | None, unit: float) -> float | None:
    try:
        return float(text) * unit if text is not None else None
    except ValueError:
        return None


def _seconds_until(date: str, now_s: float) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(date)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return moment.timestamp() - now_s


_GO_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+")
_GO_STEP = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_GO_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def _rate_limit_reset_s(headers: Mapping[str, str], kind: str) -> float | None:
    """Read the reset of an exhausted limit: OpenAI's Go duration (6m0s), or Azure's number of seconds."""
    if headers.get(f"x-ratelimit-remaining-{kind}", "").strip() != "0":
        return None
    text = headers.get(f"x-ratelimit-reset-{kind}", "").strip()
    seconds = go_duration_s(text)
    return _number(text, 1.0) if seconds is None else seconds


def go_duration_s(text: str) -> float | None:
    """Parse a Go duration such as 1h2m3.5s into seconds; None if it is not one."""
    if not _GO_DURATION.fullmatch(text):
        return None
    return sum(float(number) * _GO_UNITS[unit] for number, unit in _GO_STEP.findall(text))
