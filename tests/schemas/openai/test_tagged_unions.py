from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Tag, TypeAdapter, ValidationError

from schemas.openai.tagged_unions import OpenAIModel, discriminated_by


class Circle(OpenAIModel):
    radius_of_a_circle: int


class Square(OpenAIModel):
    side_of_a_square: int


FORMS: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        Annotated[Circle, Tag("@circle")] | Annotated[Square, Tag("@square")],
        discriminated_by("type", "circle", "square", default="circle"),
    ]
)


def test_a_shape_is_chosen_by_its_field_or_by_default() -> None:
    assert isinstance(FORMS.validate_python({"type": "square", "side_of_a_square": 1}), Square)
    assert isinstance(FORMS.validate_python({"radius_of_a_circle": 1}), Circle)


@pytest.mark.parametrize("form", [{"type": "secret"}, {"type": 5}, "secret", None])
def test_no_shape_fits_and_the_fault_lists_those_that_would(form: object) -> None:
    with pytest.raises(ValidationError) as caught:
        FORMS.validate_python(form)

    (detail,) = caught.value.errors()
    assert detail["msg"] == "must be one of circle, square"


def test_nothing_is_converted() -> None:
    with pytest.raises(ValidationError):
        FORMS.validate_python({"radius_of_a_circle": "1"})


def test_the_names_of_all_shapes_are_known() -> None:
    assert {"radius_of_a_circle", "side_of_a_square", "role", "type"} <= OpenAIModel.field_names
