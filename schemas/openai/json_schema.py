"""The shapes of bodies as JSON Schema, for whoever builds a request and wants to know beforehand."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, models_json_schema
from pydantic_core.core_schema import TaggedUnionSchema

from schemas.openai.tagged_unions import MARK, TAGGED

JSON = dict[str, Any]


def model_json_schema(place: str, *shapes: type[BaseModel]) -> dict[str, JSON]:
    """The schemas of these shapes and of all that they hold, by the shapes' names.

    Args:
        place: where they will stand, for their references to each other, such as ``#/components/schemas/``.
        shapes: the outermost ones.

    """
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(shape, "validation") for shape in shapes]
    _, found = models_json_schema(wanted, ref_template=f"{place}{{model}}", schema_generator=_Tagged)
    schemas: dict[str, JSON] = found["$defs"]
    return schemas


class _Tagged(GenerateJsonSchema):
    """Says of each shape in a choice by which value it is chosen. Our shapes themselves don't hold that field."""

    def tagged_union_schema(self, schema: TaggedUnionSchema) -> JsonSchemaValue:
        """One of several shapes; the field that tells them apart is named in the fault for none of them."""
        kind = schema.get("custom_error_type") or ""
        if not kind.startswith(TAGGED):
            return {"anyOf": [self.generate_inner(choice) for choice in schema["choices"].values()]}
        field = kind.removeprefix(TAGGED)
        return {
            "oneOf": [
                {"allOf": [self.generate_inner(choice), _variants(field, str(tag).removeprefix(MARK))]}
                for tag, choice in schema["choices"].items()
            ]
        }


def _variants(field: str, name: str) -> JSON:
    return {"type": "object", "properties": {field: {"const": name}}, "required": [field]}
