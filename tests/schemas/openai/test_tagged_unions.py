from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Tag, TypeAdapter, ValidationError

from schemas.openai.tagged_unions import OpenAIModel, discriminated_by


class Circle(OpenAIModel):
    radius_of_a_circle: int


class Square(OpenAIModel):
    side_of_a_square: int


SHAPES: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        Annotated[Circle, Tag("@circle")] | Annotated[Square, Tag("@square")],
        discriminated_by("type", "circle", "square", default="circle"),
    ]
)


def test_discriminator_or_its_default_selects_the_class() -> None:
    assert isinstance(SHAPES.validate_python({"type": "square", "side_of_a_square": 1}), Square)
    assert isinstance(SHAPES.validate_python({"radius_of_a_circle": 1}), Circle)


@pytest.mark.parametrize("value", [{"type": "secret"}, {"type": 5}, "secret", None])
def test_error_of_an_unknown_discriminator_lists_the_known_values(value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        SHAPES.validate_python(value)

    (error,) = raised.value.errors()
    assert error["msg"] == "must be one of circle, square"


def test_validation_is_strict() -> None:
    with pytest.raises(ValidationError):
        SHAPES.validate_python({"radius_of_a_circle": "1"})


def test_field_names_contain_the_fields_of_all_models() -> None:
    assert {"radius_of_a_circle", "side_of_a_square", "role", "type"} <= OpenAIModel.field_names
