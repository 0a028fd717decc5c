"""What a caller is told when no provider answered: HTTP status, OpenAI's error type, a stable code, one sentence."""

from __future__ import annotations

import math
from typing import NamedTuple

from schemas.events.parts import Failure
from schemas.events.vocabulary import ErrorType


class ErrorMapping(NamedTuple):
    """How one class of error is told."""

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
        502, "server_error", "auth", "the provider refused the gateway's own credentials, its operator must mend them"
    ),
    "not_found": ErrorMapping(404, "invalid_request_error", "model_not_found", "the provider does not know the model"),
    "timeout": ErrorMapping(504, "server_error", "timeout", "the provider did not answer in time, try again"),
    "server": ErrorMapping(502, "server_error", "server", "the provider failed, try again"),
    "network": ErrorMapping(502, "server_error", "network", "the provider can't be reached, try again later"),
}

MAX_QUOTED_CHARACTERS: frozenset[ErrorType] = frozenset(
    {
        "context_length",
        "request_too_large",
        "answer_too_large",
        "content_filter",
        "invalid_request",
    }
)
"""Here the provider's own message is about the caller's request, and follows ours."""

EXPIRED = Failure(
    status=504,
    type="server_error",
    code="deadline_exceeded",
    message="the request's deadline passed before there was an answer, allow it more time",
)

IN_DOUBT = Failure(
    status=502,
    type="server_error",
    code="in_doubt",
    message="a crash interrupted the call and nobody knows whether the provider answered, try again if that is safe",
)


IDEMPOTENCY_KEY_REUSED = Failure(
    status=422,
    type="invalid_request_error",
    code="idempotency_key_reused",
    message="another request had this name (Idempotency-Key), give this one its own, or repeat that one unchanged",
)


def to_failure(error_type: ErrorType, message: str, retry_after_s: float | None, param: str | None = None) -> Failure:
    """Tell the caller about the last error.

    Args:
        error_type: its class.
        message: the provider's; quoted only where it is about the caller's own request.
        retry_after_s: the provider's hint.
        param: the caller's parameter at fault; the message is then our own, and says it all.

    """
    telling = ERROR_MAPPINGS[error_type]
    if param is not None:
        code = "unsupported_parameter" if error_type == "invalid_request" else telling.code
        return Failure(status=400, type=telling.type, code=code, message=message, param=param)
    quote = f": {message}" if error_type in MAX_QUOTED_CHARACTERS and message else ""
    return Failure(
        status=telling.status,
        type=telling.type,
        code=telling.code,
        message=telling.sentence + quote,
        retry_after_ms=math.ceil(retry_after_s * 1000) if retry_after_s is not None else None,
    )


def unavailable(retry_after_s: float) -> Failure:
    """Tell the caller that nobody was called: every target of its model is left alone for so many seconds."""
    return Failure(
        status=503,
        type="server_error",
        code="provider_unavailable",
        message="every provider of this model fails or is at its limit, and is left alone for a while, try again later",
        retry_after_ms=math.ceil(retry_after_s * 1000),
    )
