from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError

from schemas.openai.errors import invalid, to_failure


class Body(BaseModel):
    size: Annotated[int, Field(ge=1)]
    even: Annotated[int, Field(multiple_of=2)] = 2


def failure_of(body: dict[str, object]) -> tuple[str, str | None]:
    with pytest.raises(ValidationError) as caught:
        Body.model_validate(body)
    failure = to_failure(caught.value)
    return failure.message, failure.param


def test_a_fault_is_the_callers_to_mend() -> None:
    failure = invalid("invalid_value", "n is odd", "n")

    assert (failure.status, failure.type, failure.param) == (400, "invalid_request_error", "n")


def test_the_first_fault_alone_is_told() -> None:
    assert failure_of({"size": 0, "even": 3}) == ("size must be at least 1", "size")


def test_a_fault_of_an_unforeseen_kind_is_told_without_the_librarys_words() -> None:
    assert failure_of({"size": 1, "even": 3}) == ("even is not valid", "even")


def test_what_is_no_object_has_no_param() -> None:
    with pytest.raises(ValidationError) as caught:
        Body.model_validate("a secret")

    failure = to_failure(caught.value)

    assert (failure.message, failure.param) == ("the body must be an object", None)
