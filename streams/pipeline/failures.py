"""Failures that callers receive: HTTP status, OpenAI's error type, a stable code, and one sentence."""

from __future__ import annotations

import math
from typing import NamedTuple

from schemas.events.parts import Failure
from schemas.events.vocabulary import ErrorType


class ErrorMapping(NamedTuple):
    """The caller's view of one error type."""

    status: int
    type: str
    code: str
    sentence: str


ERROR_MAPPINGS: dict[ErrorType, ErrorMapping] = {
    "rate_limited": ErrorMapping(
        429, "rate_limit_error", "rate_limit_exceeded", "the provider takes no more requests now, try again later"
    ),
    "capacity": ErrorMapping(503, "server_error", "capacity", "the provider is overloaded, try again later"),
    "quota_exhausted": ErrorMapping(
        429,
        "insufficient_quota",
        "insufficient_quota",
        "the gateway's quota at the provider is used up, its operator must raise it",
    ),
    "context_length": ErrorMapping(
        400, "invalid_request_error", "context_length_exceeded", "the request is too long for the model"
    ),
    "request_too_large": ErrorMapping(413, "invalid_request_error", "request_too_large", "the request is too large"),
    "answer_too_large": ErrorMapping(413, "invalid_request_error", "answer_too_large", "the answer is too large"),
    "content_filter": ErrorMapping(
        400, "invalid_request_error", "content_filter", "the provider's content filter refused the request"
    ),
    "invalid_request": ErrorMapping(
        400, "invalid_request_error", "invalid_request", "the provider refused the request"
    ),
    "auth": ErrorMapping(
        502,
        "server_error",
        "auth",
        "the provider refused the gateway's own credentials, its operator must correct them",
    ),
    "not_found": ErrorMapping(404, "invalid_request_error", "model_not_found", "the provider does not know the model"),
    "timeout": ErrorMapping(504, "server_error", "timeout", "the provider did not answer in time, try again"),
    "server": ErrorMapping(502, "server_error", "server", "the provider failed, try again"),
    "network": ErrorMapping(502, "server_error", "network", "the connection to the provider failed"),
}

QUOTED_ERRORS: frozenset[ErrorType] = frozenset(
    {
        "context_length",
        "request_too_large",
        "answer_too_large",
        "content_filter",
        "invalid_request",
    }
)
"""Error types whose provider message concerns the caller's request; it is appended to our sentence."""

EXPIRED = Failure(
    status=504,
    type="server_error",
    code="deadline_exceeded",
    message="the request's deadline passed before there was an answer, allow it more time",
)

INTERNAL_ERROR = Failure(
    status=500,
    type="server_error",
    code="internal_error",
    message="the gateway failed on this request, its operator finds the cause in the log by the request id",
)

IN_DOUBT = Failure(
    status=502,
    type="server_error",
    code="in_doubt",
    message="a crash interrupted the call and it is unknown whether the provider answered, try again if that is safe",
)


IDEMPOTENCY_KEY_REUSED = Failure(
    status=422,
    type="invalid_request_error",
    code="idempotency_key_reused",
    message="another request has used this Idempotency-Key, choose a new key, or repeat that request unchanged",
)


def to_failure(error_type: ErrorType, message: str, retry_after_s: float | None, param: str | None = None) -> Failure:
    """Return the failure that the caller receives for the last error.

    Args:
        error_type: type of the error.
        message: the provider's message; quoted only for ``QUOTED_ERRORS``. For a network error it is our own: it names
            the provider and the reason, and replaces the general sentence.
        retry_after_s: the provider's hint.
        param: the invalid parameter; the message is then our own, and is returned as it is.

    """
    mapping = ERROR_MAPPINGS[error_type]
    if param is not None:
        code = "unsupported_parameter" if error_type == "invalid_request" else mapping.code
        return Failure(status=400, type=mapping.type, code=code, message=message, param=param)
    quote = f": {message}" if error_type in QUOTED_ERRORS and message else ""
    return Failure(
        status=mapping.status,
        type=mapping.type,
        code=mapping.code,
        message=message if error_type == "network" and message else mapping.sentence + quote,
        retry_after_ms=math.ceil(retry_after_s * 1000) if retry_after_s is not None else None,
    )


def unavailable(retry_after_s: float) -> Failure:
    """Return the failure of a request without a call: no target of its model is available for so many seconds."""
    return Failure(
        status=503,
        type="server_error",
        code="provider_unavailable",
        message="every provider of this model fails or is at its limit, try again later",
        retry_after_ms=math.ceil(retry_after_s * 1000),
    )
