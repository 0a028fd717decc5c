"""Classification of Anthropic's errors, and their retry delays.

Source: Anthropic's pages "Errors" and "Rate limits"; the error codes are those of its published API types.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Mapping

import orjson

from connectors.http_client import Response
from connectors.providers.provider import ProviderError
from connectors.providers.wire.errors import MAX_RETRY_AFTER_S, parse_error
from connectors.providers.wire.json_access import object_at, parse_object
from schemas.events.vocabulary import ErrorType
from schemas.json_types import JsonObject

STATUS_BY_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""HTTP status of each error type, for errors in a stream, which has only its status 200."""

SPEND_LIMIT_CODES = frozenset(
    {"enforced_spend_limit_reached", "contract_spend_limit_reached", "linked_organization_spend_limit_reached"}
    | {"linked_organization_billing_unavailable"}
)
"""Codes in ``error.details.error_code`` of spend limits, which waiting does not lift."""

BY_MESSAGE: tuple[tuple[re.Pattern[str], ErrorType], ...] = (
    (re.compile(r"credit balance is too low|specified API usage limits", re.IGNORECASE), "quota_exhausted"),
    (re.compile(r"prompt is too long|exceed context limit", re.IGNORECASE), "context_length"),
    (re.compile(r"blocked by content filtering", re.IGNORECASE), "content_filter"),
)
"""Error type of an invalid request whose text is more specific than its type."""

_NUMBER = re.compile(r"\d{1,12}(\.\d+)?")

LIMIT_NAMES = ("requests", "tokens", "input-tokens", "output-tokens")


def read_error(response: Response) -> ProviderError:
    """Classify an error response."""
    error = parse_error(response.status, response.headers, response.content)
    _refine(error, parse_object(response.content) or {})
    if error.retry_after_s is None:
        error.retry_after_s = reset_s(response.headers, time.time())
    return error


def read_stream_error(event: JsonObject) -> ProviderError:
    """Classify an error in a stream, after its status 200."""
    kind = object_at(event, "error").get("type")
    status = STATUS_BY_TYPE.get(kind, 500) if isinstance(kind, str) else 500
    read = parse_error(status, {}, orjson.dumps(event))
    _refine(read, event)
    read.http_status = 200
    return read


def reset_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Return the seconds until all exhausted limits are restored; None if no limit is exhausted."""
    waits = [
        _wait_s(headers.get(f"anthropic-ratelimit-{limit}-reset", ""), now_s) for limit in _exhausted_limits(headers)
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def _exhausted_limits(headers: Mapping[str, str]) -> list[str]:
    return [limit for limit in LIMIT_NAMES if headers.get(f"anthropic-ratelimit-{limit}-remaining", "").strip() == "0"]


def _wait_s(moment: str, now_s: float) -> float | None:
    """Parse a reset: RFC 3339 as documented; some resets have been seen as seconds since the Unix epoch."""
    try:
        at = float(moment) if _NUMBER.fullmatch(moment) else dt.datetime.fromisoformat(moment).timestamp()
    except (ValueError, OverflowError):
        return None
    wait = at - now_s
    return wait if 0 < wait <= MAX_RETRY_AFTER_S else None


def _refine(error: ProviderError, body: JsonObject) -> None:
    """Refine the error type by code and message, and add the request id that Anthropic's support needs."""
    details = object_at(object_at(body, "error"), "details")
    if str(details.get("error_code")) in SPEND_LIMIT_CODES:
        error.error_type = "quota_exhausted"
    elif error.error_type == "invalid_request":
        found = (meaning for pattern, meaning in BY_MESSAGE if pattern.search(error.message))
        error.error_type = next(found, "invalid_request")
    if isinstance(body.get("request_id"), str):
        error.message = f"{error.message} ({body['request_id'][:64]})"
        error.args = (error.message,)
