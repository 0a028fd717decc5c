"""Answers in a JSON schema: by Anthropic's own feature where the model has it, else as the input of a tool.

Source: Anthropic's page "Structured outputs", with the part of JSON Schema that it supports.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from connectors.providers.anthropic.models import ModelTraits, traits_of
from connectors.providers.parameters import invalid_parameter
from connectors.providers.provider import ProviderCall
from schemas.events.parts import Change
from schemas.json_types import JsonObject

ANSWER_TOOL = "give_the_answer"
"""Tool that a model without structured output must call; its input is the answer."""
NOT_ENFORCED = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"}
    | {"maxItems", "uniqueItems", "minProperties", "maxProperties"}
)
"""Keywords for which Anthropic refuses a schema; they are written into the description instead."""
SCHEMA_MAPS = frozenset({"properties", "$defs", "definitions", "patternProperties"})
"""Keywords that map the caller's names to schemas."""


def answers_by_tool(call: ProviderCall) -> bool:
    """Return True if the answer to this call is the input of a tool."""
    response_format = call.body.get("response_format") or {}
    return response_format.get("type") == "json_object" or (
        response_format.get("type") == "json_schema" and not traits_of(call.model).has_json_schema
    )


def write_format(wire: JsonObject, parameters: Mapping[str, Any], traits: ModelTraits, changes: list[Change]) -> None:
    """Write response_format. It must follow the tools.

    Raises:
        ProviderError: invalid_request, for a format that this model does not support.

    """
    response_format = parameters.get("response_format", {"type": "text"})
    if response_format["type"] == "text":
        return
    schema = _schema(response_format)
    if response_format["type"] == "json_schema" and traits.has_json_schema:
        wire["output_config"] = {"format": {"type": "json_schema", "schema": close_objects(schema)}}
        changes.append(Change(param="response_format", action="transformed", detail="output_config.format"))
        return
    if not traits.can_force_tools:
        message = f"response_format can be text or json_schema at anthropic/{wire['model']}"
        raise invalid_parameter("response_format", message)
    _force_answer_tool(wire, schema, response_format.get("json_schema") or {})
    changes.append(Change(param="response_format", action="transformed", detail=f"tool {ANSWER_TOOL}"))


def _schema(response_format: JsonObject) -> JsonObject:
    if response_format["type"] == "json_object":
        return {"type": "object"}
    spec = response_format.get("json_schema")
    schema = spec.get("schema") if isinstance(spec, dict) else None
    if response_format["type"] != "json_schema" or not isinstance(schema, dict):
        raise invalid_parameter(
            "response_format", "response_format must be text, json_object, or json_schema with a schema"
        )
    return schema


def _force_answer_tool(wire: JsonObject, schema: JsonObject, spec: JsonObject) -> None:
    tools = wire.get("tools", [])
    if any(tool["name"] == ANSWER_TOOL for tool in tools):
        raise invalid_parameter("tools", f"the gateway uses the name {ANSWER_TOOL} for response_format")
    description = spec.get("description") or "Give the answer to the user, in this form."
    tool = {"name": ANSWER_TOOL, "description": description, "input_schema": {"type": "object", **schema}}
    choice = wire.get("tool_choice", {})
    alone = not tools or choice.get("type") == "none"
    if choice.get("type") != "tool":
        wire["tool_choice"] = {**choice, "type": "tool", "name": ANSWER_TOOL} if alone else {**choice, "type": "any"}
    wire["tools"] = [*tools, tool]


def close_objects(schema: Any) -> Any:  # noqa: ANN401 - JSON Schema nests objects, lists and booleans
    """Return a schema that Anthropic accepts: objects closed, and unsupported keywords moved to the description."""
    if isinstance(schema, list):
        return [close_objects(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    written = {name: _close_value(name, value) for name, value in schema.items() if name not in NOT_ENFORCED}
    unsupported = {name: value for name, value in schema.items() if name in NOT_ENFORCED}
    if unsupported:
        description = [str(schema["description"])] if "description" in schema else []
        written["description"] = " ".join([*description, orjson.dumps(unsupported).decode()])
    if written.get("type") == "object":
        written.setdefault("additionalProperties", False)
    return written


def _close_value(keyword: str, value: Any) -> Any:  # noqa: ANN401 - as above
    if keyword in {"enum", "const", "default", "examples"}:
        return value
    if keyword in SCHEMA_MAPS and isinstance(value, dict):
        return {name: close_objects(schema) for name, schema in value.items()}
    return close_objects(value)
