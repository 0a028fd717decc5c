from __future__ import annotations

import orjson
import pytest

from schemas.events.parts import Failure
from streams.ingress.errors import INVALID_REQUEST_ERROR, SERVER_ERROR, ApiError, to_response, type_of

FAILURE = Failure(status=429, type="rate_limit_error", code="slow_down", message="Wait.", retry_after_ms=1001)


def test_response_is_openais_error_object_with_its_status() -> None:
    made = to_response(ApiError(FAILURE))

    assert made.status_code == 429
    assert orjson.loads(bytes(made.body)) == {
        "error": {"message": "Wait.", "type": "rate_limit_error", "param": None, "code": "slow_down"}
    }


def test_retry_after_is_rounded_up_to_whole_seconds() -> None:
    made = to_response(ApiError(FAILURE))

    assert (made.status_code, made.headers["retry-after"], made.headers["retry-after-ms"]) == (429, "2", "1001")
    assert made.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        ((400, "invalid_value"), INVALID_REQUEST_ERROR),
        ((403, "model_not_allowed"), "permission_error"),
        ((429, "too_many_in_flight"), "rate_limit_error"),
        ((429, "insufficient_quota"), "insufficient_quota"),
        ((503, "capacity"), SERVER_ERROR),
        ((504, "deadline_exceeded"), SERVER_ERROR),
    ],
)
def test_error_type_is_derived_from_status_and_code(failure: tuple[int, str], kind: str) -> None:
    assert type_of(*failure) == kind
