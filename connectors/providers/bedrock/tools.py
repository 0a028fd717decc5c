"""Translation of tools, tool choice and response_format into the Converse format.

response_format is here because a model without structured output gets a tool to answer with instead.
Source: Amazon Bedrock API Reference, "ToolConfiguration", "ToolChoice", "OutputFormat".
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from connectors.providers.bedrock.models import cache_point, can_name_tool, claude_traits, structured_by
from connectors.providers.parameters import AppliedParameters, invalid_parameter
from connectors.providers.provider import ProviderCall
from schemas.events.parts import Change
from schemas.json_types import JsonObject

ANSWER_TOOL = "answer"
"""Tool that a model without structured output must call; its arguments are the answer."""


def answers_by_tool(call: ProviderCall) -> bool:
    """Return True if the answer is the arguments of ``ANSWER_TOOL``."""
    response_format = call.body.get("response_format")
    kind = response_format.get("type") if isinstance(response_format, dict) else None
    return kind == "json_object" or (kind == "json_schema" and structured_by(call.model) == "tool")


class ConverseTools:
    """toolConfig and outputConfig of a Converse request."""

    def __init__(self, model: str, applied: AppliedParameters, *, uses_tools: bool) -> None:
        """Write both parts.

        Raises:
            ProviderError: invalid_request, naming the parameter that this model does not support.

        """
        self.config: JsonObject = {}
        """toolConfig; empty without tools."""
        self.output: JsonObject = {}
        """Format of the answer, in outputConfig."""
        self._model = model
        self._applied = applied
        self._requested = applied.transform
        offered = enumerate(self._requested.get("tools") or ())
        tools = [part for number, tool in offered for part in self._tool(number, tool)]
        self._write_config(tools, uses_tools=uses_tools)
        if "response_format" in self._requested:
            self._write_response_format(self._requested["response_format"])

    def _write_config(self, tools: list[JsonObject], *, uses_tools: bool) -> None:
        if self._requested.get("tool_choice") == "none":
            if uses_tools:
                raise invalid_parameter("tool_choice", "tool_choice cannot be none for bedrock after tools were called")
            self._note("tool_choice", "no tools are sent")
            return
        if uses_tools and not tools:
            raise invalid_parameter("messages", "messages with tool calls require tools for bedrock")
        if tools and self._requested.get("parallel_tool_calls") is False:
            raise invalid_parameter("parallel_tool_calls", "parallel_tool_calls cannot be false with tools for bedrock")
        choice = self._choice(has_tools=bool(tools))
        if tools:
            self.config = {"tools": tools, **({"toolChoice": choice} if choice else {})}
            self._note("tools", "toolConfig")

    def _tool(self, number: int, tool: JsonObject) -> Iterator[JsonObject]:
        function = tool.get("function")
        if not isinstance(function, dict):
            raise invalid_parameter(f"tools[{number}]", f"tools[{number}] must be a function for bedrock")
        schema = function.get("parameters") or {"type": "object", "properties": {}}
        spec = {"name": function.get("name"), "inputSchema": {"json": schema}}
        if function.get("description"):
            spec["description"] = function["description"]
        if function.get("strict") and structured_by(self._model) == "format":
            spec["strict"] = True
        elif function.get("strict"):
            self._note("tools", "strict: this model does not support it", dropped=True)
        yield {"toolSpec": spec}
        if point := cache_point(self._model, tool.get("cache_control") or function.get("cache_control")):
            yield point

    def _choice(self, *, has_tools: bool) -> JsonObject:
        choice = self._requested.get("tool_choice")
        match choice:
            case None:
                return {}
            case "auto":
                written: JsonObject = {"auto": {}}
            case "required" if has_tools:
                written = {"any": {}}
            case {"type": "function", "function": {"name": str(name)}} if has_tools:
                written = {"tool": {"name": name}}
            case _:
                raise invalid_parameter(
                    "tool_choice", "tool_choice must be none or auto, or with tools also required or one of them"
                )
        traits = claude_traits(self._model)
        if choice != "auto" and traits is not None and not traits.can_force_tools:
            raise invalid_parameter("tool_choice", f"bedrock/{self._model} cannot be forced to call a tool")
        self._note("tool_choice", "toolConfig.toolChoice")
        return written

    def _write_response_format(self, response_format: object) -> None:
        kind = response_format.get("type") if isinstance(response_format, dict) else None
        if not isinstance(response_format, dict) or kind == "text":
            return
        schema = _schema(response_format)
        if kind == "json_schema" and structured_by(self._model) == "format":
            named = {key: schema[key] for key in ("name", "description") if schema.get(key)}
            structure = {"jsonSchema": {"schema": orjson.dumps(schema["schema"]).decode(), **named}}
            self.output = {"textFormat": {"type": "json_schema", "structure": structure}}
            self._note("response_format", "outputConfig.textFormat")
            return
        if (kind == "json_schema" and not structured_by(self._model)) or not can_name_tool(self._model):
            raise invalid_parameter(
                "response_format", f"response_format {kind} is not supported by bedrock/{self._model}"
            )
        if self.config or "reasoning_effort" in self._requested:
            message = f"response_format {kind} is not supported by bedrock with tools or reasoning_effort"
            raise invalid_parameter("response_format", message)
        spec = {"name": ANSWER_TOOL, "description": "Gives the answer.", "inputSchema": {"json": schema["schema"]}}
        self.config = {"tools": [{"toolSpec": spec}], "toolChoice": {"tool": {"name": ANSWER_TOOL}}}
        self._note("response_format", "a tool that must be called")

    def _note(self, param: str, detail: str, *, dropped: bool = False) -> None:
        change = Change(param=param, action="dropped" if dropped else "transformed", detail=detail)
        self._applied.changes.append(change)


def _schema(response_format: JsonObject) -> JsonObject:
    if response_format.get("type") == "json_object":
        return {"schema": {"type": "object"}}
    given = response_format.get("json_schema") if response_format.get("type") == "json_schema" else None
    if not isinstance(given, dict) or not isinstance(given.get("schema"), dict):
        raise invalid_parameter(
            "response_format", "response_format must be text, json_object, or json_schema with a schema"
        )
    return given
