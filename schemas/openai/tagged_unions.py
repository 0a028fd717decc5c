"""Discriminated unions of OpenAI's body models, with errors that name the exact field."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Discriminator, Tag

MARK = "@"
"""Prefix of every tag, so that a tag in an error's location is not taken for a field."""
OWN = "own."
"""Prefix of the type of every error with a message of Sluice. Other messages may quote the caller."""
TAGGED = OWN + "at."
"""Prefix of the discriminator field in the type of the error that no model matches."""

Text = Annotated[str, Tag("@text")]
"""Content that is only text."""


class OpenAIModel(BaseModel):
    """Base class of objects in a body. Types are strict; unknown fields are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")

    field_names: ClassVar[set[str]] = {"role", "type"}
    """Field names of all models: OpenAI chose these names, not a caller."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        """Add the field names of a new model."""
        super().__pydantic_init_subclass__(**kwargs)
        OpenAIModel.field_names.update(cls.model_fields)


def discriminated_by(field: str, *names: str, default: str = "") -> Discriminator:
    """Choose the model by the value of a field. Another value is one error that lists the allowed values."""

    def tag(value: object) -> str | None:
        name = value.get(field, default) if isinstance(value, dict) else None
        return MARK + name if isinstance(name, str) else None

    return Discriminator(tag, TAGGED + field, "must be one of " + ", ".join(names))


def _text_or_parts(value: object) -> str:
    return "@parts" if isinstance(value, list) else "@text"


TEXT_OR_PARTS = Discriminator(_text_or_parts)
"""Discriminator of content that is text or a list of parts."""
