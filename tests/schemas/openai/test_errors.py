from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError

from schemas.openai.errors import invalid, to_failure


class Body(BaseModel):
    size: Annotated[int, Field(ge=1)]
    even: Annotated[int, Field(multiple_of=2)] = 2


def failure_of(body: dict[str, object]) -> tuple[str, str | None]:
    with pytest.raises(ValidationError) as raised:
        Body.model_validate(body)
    failure = to_failure(raised.value)
    return failure.message, failure.param


def test_invalid_is_a_failure_with_status_400() -> None:
    failure = invalid("invalid_value", "n is odd", "n")

    assert (failure.status, failure.type, failure.param) == (400, "invalid_request_error", "n")


def test_failure_contains_only_the_first_error() -> None:
    assert failure_of({"size": 0, "even": 3}) == ("size must be at least 1", "size")


def test_unknown_kind_of_error_has_a_generic_message() -> None:
    assert failure_of({"size": 1, "even": 3}) == ("even is not valid", "even")


def test_failure_of_a_body_that_is_not_an_object_has_no_param() -> None:
    with pytest.raises(ValidationError) as raised:
        Body.model_validate("a secret")

    failure = to_failure(raised.value)

    assert (failure.message, failure.param) == ("the body must be an object", None)
