"""Classification of Google's errors by canonical status and details.

Sources: Gemini API, "Troubleshooting" and "Rate limits"; google.rpc error details (ErrorInfo, QuotaFailure, RetryInfo).
The message "You exceeded your current quota" is also that of a limit per minute: only the details distinguish them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from connectors.providers.provider import ProviderError
from connectors.providers.wire import errors
from connectors.providers.wire.json_access import object_at, objects_of
from schemas.events.vocabulary import ErrorType
from schemas.json_types import JsonObject

BY_REASON: dict[str, ErrorType] = {
    "API_KEY_INVALID": "auth",
    "API_KEY_SERVICE_BLOCKED": "auth",
    "SERVICE_DISABLED": "auth",
    "ACCOUNT_STATE_INVALID": "auth",
    "CONSUMER_SUSPENDED": "auth",
    "BILLING_DISABLED": "quota_exhausted",
}
"""Error type by an ErrorInfo's reason, for any status: a wrong key has status 400."""

BY_STATUS: dict[str, ErrorType] = {
    "FAILED_PRECONDITION": "auth",  # not available for this country or without billing
    "CANCELLED": "server",
    "DEADLINE_EXCEEDED": "timeout",
    "UNAVAILABLE": "capacity",
}
"""Error type by Google's canonical status, where it is more specific than HTTP's."""

TOO_LONG = re.compile(r"exceeds the maximum number of tokens", re.IGNORECASE)
QUOTA_EXHAUSTED = re.compile(r"spending cap|\blimit: 0\b", re.IGNORECASE)
DAILY_QUOTA = "PerDay"
"""Part of the id of a quota that is restored at midnight, Pacific time."""
RETRY_IN = re.compile(r"retry in ((?:\d+(?:\.\d+)?(?:h|ms|m|s))+)", re.IGNORECASE)

RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
QUOTA_FAILURE = "type.googleapis.com/google.rpc.QuotaFailure"
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


def read_error(status: int, headers: Mapping[str, str], content: bytes) -> ProviderError:
    """Classify an error response; see ``wire.errors.parse_error``."""
    error = errors.parse_error(status, headers, content)
    error_object = _error_object(content)
    details = objects_of(error_object.get("details"))
    error.retry_after_s = error.retry_after_s or _retry_after_s(details, error.message)
    error.error_type = _classify(error, error_object, details)
    return error


def read_stream_error(response: JsonObject) -> ProviderError:
    """Classify an error in a response with status 200."""
    code = _error_object(orjson.dumps(response)).get("code")
    status = code if type(code) is int and 400 <= code < 600 else 500  # noqa: PLR2004 - HTTP's error range
    error = read_error(status, {}, orjson.dumps(response))
    error.http_status = 200
    return error


def _classify(error: ProviderError, error_object: JsonObject, details: list[JsonObject]) -> ErrorType:
    reasons = [str(detail.get("reason")) for detail in details if detail.get("@type") == ERROR_INFO]
    by_reason = next((BY_REASON[reason] for reason in reasons if reason in BY_REASON), None)
    if by_reason:
        return by_reason
    if error.error_type in {"rate_limited", "quota_exhausted"}:
        return _classify_quota(error, details)
    if TOO_LONG.search(error.message) and error.error_type == "invalid_request":
        return "context_length"
    return BY_STATUS.get(str(error_object.get("status")), error.error_type)


def _classify_quota(error: ProviderError, details: list[JsonObject]) -> ErrorType:
    """Distinguish a rate limit from an exhausted quota."""
    violations = [
        violation
        for detail in details
        if detail.get("@type") == QUOTA_FAILURE
        for violation in objects_of(detail.get("violations"))
    ]
    if any(DAILY_QUOTA in str(violation.get("quotaId")) for violation in violations) or QUOTA_EXHAUSTED.search(
        error.message
    ):
        return "quota_exhausted"
    return "rate_limited" if violations or error.retry_after_s else error.error_type


def _retry_after_s(details: list[JsonObject], message: str) -> float | None:
    delays = [detail.get("retryDelay") for detail in details if detail.get("@type") == RETRY_INFO]
    found = RETRY_IN.search(message)
    for text in (*delays, found[1] if found else None):
        seconds = errors.go_duration_s(text) if isinstance(text, str) else None
        if seconds and seconds <= errors.MAX_RETRY_AFTER_S:
            return seconds
    return None


def _error_object(content: bytes) -> JsonObject:
    """Return the error object, also from a list with one item."""
    try:
        body: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    body = body[0] if isinstance(body, list) and body else body
    return object_at(body, "error")
