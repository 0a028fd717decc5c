"""How the ingress says no: one exception, and OpenAI's error object made of it."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from starlette.responses import Response

from schemas.events import Failure

OURS = "server_error"
"""OpenAI's type of an error that is not the caller's fault."""
THEIRS = "invalid_request_error"
"""OpenAI's type of an error that the caller can mend."""

_SERVER_ERROR = 500

DO_NOT_RETRY = {"x-should-retry": "false"}
"""Understood by the OpenAI clients, which would otherwise send any 5xx again, and have it paid again."""


class RefusedError(Exception):
    """The caller gets an error object and no more. The message is for it, and holds none of its content."""

    def __init__(self, failure: Failure, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.headers = dict(headers or {})
        if failure.retry_after_ms is not None:
            self.headers["Retry-After"] = str(-(-failure.retry_after_ms // 1000))


def bad_request(code: str, message: str, param: str | None = None) -> RefusedError:
    """Refuse with 400: the caller can mend it."""
    return RefusedError(Failure(status=400, type=THEIRS, code=code, message=message, param=param))


def unavailable(code: str, message: str) -> RefusedError:
    """Refuse with 503: the same request may succeed in a second."""
    return RefusedError(Failure(status=503, type=OURS, code=code, message=message, retry_after_ms=1000))


def type_of(status: int) -> str:
    """OpenAI's type for an HTTP status, where nobody has kept a finer one."""
    return OURS if status >= _SERVER_ERROR else THEIRS


def error_object(failure: Failure) -> bytes:
    """The body that every OpenAI client reads as an error."""
    error = {"message": failure.message, "type": failure.type, "param": failure.param, "code": failure.code}
    return orjson.dumps({"error": error})


def response(refusal: RefusedError) -> Response:
    """The whole HTTP response."""
    return Response(
        error_object(refusal.failure), refusal.failure.status, refusal.headers, media_type="application/json"
    )
