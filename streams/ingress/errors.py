"""How the ingress says no: one exception, and the HTTP response made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.responses import Response

from schemas.events.parts import Failure
from schemas.openai.bodies import error_body

SERVER_ERROR = "server_error"
"""OpenAI's type of an error that is not the caller's fault."""
INVALID_REQUEST_ERROR = "invalid_request_error"
"""OpenAI's type of an error that the caller can mend."""

_SERVER_ERROR = 500
_TYPES = {403: "permission_error", 429: "rate_limit_error"}

DO_NOT_RETRY = {"x-should-retry": "false"}
"""Understood by the OpenAI clients, which would otherwise send any 5xx again, and have it paid again."""


class ApiError(Exception):
    """The caller gets an error object and no more. The message is for it, and holds none of its content."""

    def __init__(self, failure: Failure, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.headers = dict(headers or {})
        if failure.retry_after_ms is not None:
            self.headers |= retry_after(failure.retry_after_ms)


def retry_after(milliseconds: int) -> dict[str, str]:
    """When to try again: whole seconds are HTTP's, the OpenAI clients prefer the finer one."""
    return {"retry-after": str(-(-milliseconds // 1000)), "retry-after-ms": str(milliseconds)}


def bad_request(code: str, message: str, param: str | None = None) -> ApiError:
    """Refuse with 400: the caller can mend it."""
    return ApiError(Failure(status=400, type=INVALID_REQUEST_ERROR, code=code, message=message, param=param))


def unavailable(code: str, message: str) -> ApiError:
    """Refuse with 503: the same request may succeed in a second."""
    return ApiError(Failure(status=503, type=SERVER_ERROR, code=code, message=message, retry_after_ms=1000))


def type_of(status: int, code: str) -> str:
    """OpenAI's type for an HTTP status and our code, where nobody has kept it."""
    if code == "insufficient_quota":
        return code
    return _TYPES.get(status) or (SERVER_ERROR if status >= _SERVER_ERROR else INVALID_REQUEST_ERROR)


def to_response(refusal: ApiError, shaped: Callable[[bytes], bytes] = lambda error: error) -> Response:
    """The whole HTTP response; ``shaped`` makes another API's error of OpenAI's error object."""
    failure = refusal.failure
    return Response(shaped(error_body(failure)), failure.status, refusal.headers, media_type="application/json")
