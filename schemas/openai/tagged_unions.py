"""How the shapes of OpenAI's bodies are told from each other, so that a fault can name the very field."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Discriminator, Tag

MARK = "@"
"""In front of every tag, so that a tag in a fault's place is not taken for a field."""
OWN = "own."
"""In front of the type of every fault whose sentence is ours: any other might quote the caller."""
TAGGED = OWN + "at."
"""In front of the field by which a shape is chosen, in the type of the fault when none fits."""

Text = Annotated[str, Tag("@text")]
"""Content that is words alone."""


class OpenAIModel(BaseModel):
    """Any object in a body. Numbers must be numbers and text text; fields that are not named are not looked at."""

    model_config = ConfigDict(strict=True, extra="ignore")

    field_names: ClassVar[set[str]] = {"role", "type"}
    """Of all shapes together: names that OpenAI has chosen, not a caller."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        """Take note of the names of a new shape."""
        super().__pydantic_init_subclass__(**kwargs)
        OpenAIModel.field_names.update(cls.model_fields)


def discriminated_by(field: str, *names: str, default: str = "") -> Discriminator:
    """Choose the shape by the value of a field; one fault that lists the names if it has none of them."""

    def tag(value: object) -> str | None:
        name = value.get(field, default) if isinstance(value, dict) else None
        return MARK + name if isinstance(name, str) else None

    return Discriminator(tag, TAGGED + field, "must be one of " + ", ".join(names))


def _text_or_parts(value: object) -> str:
    return "@parts" if isinstance(value, list) else "@text"


TEXT_OR_PARTS = Discriminator(_text_or_parts)
"""Content is words, or a list of parts."""
