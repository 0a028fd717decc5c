"""Classification of Bedrock's errors.

The exception's name is read first, because status and text are ambiguous here.

Source: Amazon Bedrock API Reference, "Converse: Errors" and "ConverseStream: Response elements".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connectors.providers.provider import ProviderError
from connectors.providers.wire import errors
from connectors.providers.wire.json_access import as_text, parse_object
from schemas.events.vocabulary import ErrorType

BY_EXCEPTION: dict[str, ErrorType] = {
    "throttlingexception": "rate_limited",
    "toomanyrequestsexception": "rate_limited",
    "serviceunavailableexception": "capacity",
    "modelnotreadyexception": "capacity",  # status 429: the model is being loaded
    "servicequotaexceededexception": "capacity",  # status 400, but not the request's fault
    "modeltimeoutexception": "timeout",
    "modelerrorexception": "server",  # status 424: the model failed
    "modelstreamerrorexception": "server",
    "internalserverexception": "server",
    "internalfailure": "server",
    "resourcenotfoundexception": "not_found",
    "unknownoperationexception": "not_found",
    "validationexception": "invalid_request",
    "accessdeniedexception": "auth",
    "expiredtokenexception": "auth",
    "incompletesignatureexception": "auth",
    "invalidsignatureexception": "auth",
    "missingauthenticationtokenexception": "auth",
    "optinrequired": "auth",
    "unrecognizedclientexception": "auth",
}
"""Error type by the exception's name in lower case: ThrottlingException in a response is throttlingException in a
stream.
"""

BY_MESSAGE: tuple[tuple[ErrorType, re.Pattern[str], ErrorType], ...] = (
    # the daily limit is a throttling exception too, but lasts longer than any request
    ("rate_limited", re.compile(r"tokens per day", re.IGNORECASE), "quota_exhausted"),
    (
        "invalid_request",
        re.compile(r"model identifier is invalid|on-demand throughput isn", re.IGNORECASE),
        "not_found",
    ),
    (
        "invalid_request",
        re.compile(
            r"input is too long|prompt is too long|context (length|window|limit)|too many input tokens", re.IGNORECASE
        ),
        "context_length",
    ),
    ("invalid_request", re.compile(r"content filtering policy", re.IGNORECASE), "content_filter"),
)
"""Error type by the type of the exception and its text. A throttling error that mentions tokens stays a throttling
error.
"""


def read_error(status: int, headers: Mapping[str, str], content: bytes) -> ProviderError:
    """Classify an error response."""
    error = errors.parse_error(status, headers, content)
    body = parse_object(content) or {}
    error.message = _message(body) or error.message
    error.args = (error.message,)
    error.error_type = _classify(headers.get("x-amzn-errortype") or as_text(body.get("__type")), error)
    return error


def read_exception(name: str, payload: bytes) -> ProviderError:
    """Classify an exception in a stream, after its status 200."""
    message = _message(parse_object(payload) or {}) or f"the stream failed: {name or 'no reason given'}"
    error = ProviderError("server", message, http_status=200)
    error.error_type = _classify(name, error)
    return error


def _classify(name: str, error: ProviderError) -> ErrorType:
    """Classify by the exception; unknown ones keep the type of their status."""
    bare = name.partition(":")[0].rpartition("#")[2].strip().lower()
    known = BY_EXCEPTION.get(bare, error.error_type)
    for general, pattern, specific in BY_MESSAGE:
        if general == known and pattern.search(error.message):
            return specific
    return known


def _message(body: Mapping[str, Any]) -> str:
    return (as_text(body.get("message")) or as_text(body.get("Message")))[: errors.MESSAGE_CHARS]
