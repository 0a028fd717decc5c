"""JSON Schema of the request bodies, for the OpenAPI document."""

from __future__ import annotations

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, models_json_schema
from pydantic_core.core_schema import TaggedUnionSchema

from schemas.json_types import JsonObject
from schemas.openai.tagged_unions import MARK, TAGGED


def model_json_schema(prefix: str, *models: type[BaseModel]) -> dict[str, JsonObject]:
    """Return the schemas of models and of all models inside them, by name.

    Args:
        prefix: prefix of their references to each other, such as ``#/components/schemas/``.
        models: the outermost models.

    """
    modes: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in models]
    _, definitions = models_json_schema(modes, ref_template=f"{prefix}{{model}}", schema_generator=_SchemaGenerator)
    schemas: dict[str, JsonObject] = definitions["$defs"]
    return schemas


class _SchemaGenerator(GenerateJsonSchema):
    """Generator that adds the discriminator field to each model of a tagged union. The models do not declare it."""

    def tagged_union_schema(self, schema: TaggedUnionSchema) -> JsonSchemaValue:
        """Return the schema of a tagged union. Its error type contains the name of the discriminator field."""
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


def _variants(field: str, name: str) -> JsonObject:
    return {"type": "object", "properties": {field: {"const": name}}, "required": [field]}
