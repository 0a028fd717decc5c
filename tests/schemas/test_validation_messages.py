from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from schemas.validation_messages import describe, path_of


def require_odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("must be odd")
    return value


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (int, "secret", "must be a whole number"),
        (int, 1.5, "must be a whole number"),
        (bool, "secret", "must be true or false"),
        (tuple[int, ...], "secret", "must be a list"),
        (dict[str, int], "secret", "must be an object"),
        (uuid.UUID, "secret", "must be a UUID"),
        (Literal["a", "b"], "secret", "must be 'a' or 'b'"),
        (Annotated[str, Field(max_length=3)], "secret", "must be at most 3 characters long"),
        (Annotated[float, Field(gt=0)], 0, "must be above 0"),
        (Annotated[int, AfterValidator(require_odd)], 2, "must be odd"),
        (bytes, 5, "is not valid"),
    ],
)
def test_message_describes_the_rule_without_the_value(hint: Any, value: object, expected: str) -> None:
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(hint).validate_python(value)

    assert describe(raised.value.errors()[0]) == expected


def test_path_of_an_invalid_key_ends_with_the_key() -> None:
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(dict[Literal["a"], int]).validate_python({"b": 1})

    assert path_of(raised.value.errors()[0]) == "b"
