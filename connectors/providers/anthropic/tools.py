"""Translation of tools and of the tool choice.

Source: Anthropic's pages "Define tools" and "Strict tool use".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.providers.anthropic.models import ModelTraits
from connectors.providers.parameters import invalid_parameter
from schemas.events.parts import Change
from schemas.json_types import JsonObject

CHOICES = {"auto": "auto", "required": "any", "none": "none"}
FORCED_CHOICES = frozenset({"any", "tool"})


def write_tools(wire: JsonObject, parameters: Mapping[str, Any], traits: ModelTraits, changes: list[Change]) -> None:
    """Write tools, tool_choice and parallel_tool_calls.

    Raises:
        ProviderError: invalid_request, for a tool or a choice that this model does not support.

    """
    if not parameters.get("tools"):
        idle = [name for name in ("tool_choice", "parallel_tool_calls") if name in parameters]
        changes += [Change(param=name, action="dropped", detail="there are no tools") for name in idle]
        return
    wire["tools"] = [_tool(tool, index, traits, changes) for index, tool in enumerate(parameters["tools"])]
    changes.append(Change(param="tools", action="transformed", detail="tools"))
    choice = _choice(parameters.get("tool_choice"), wire["model"], traits)
    if "tool_choice" in parameters:
        changes.append(Change(param="tool_choice", action="transformed", detail="tool_choice"))
    if "parallel_tool_calls" in parameters:
        detail = "tool_choice.disable_parallel_tool_use"
        changes.append(Change(param="parallel_tool_calls", action="transformed", detail=detail))
    if parameters.get("parallel_tool_calls") is False and choice != {"type": "none"}:
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    if choice:
        wire["tool_choice"] = choice


def _tool(tool: JsonObject, index: int, traits: ModelTraits, changes: list[Change]) -> JsonObject:
    where = f"tools[{index}]"
    function = tool.get("function")
    if not isinstance(function, dict):
        raise invalid_parameter(where, f"{where} is not a function; anthropic supports no other tools of the caller")
    written: JsonObject = {"name": function["name"]}
    if function.get("description"):
        written["description"] = function["description"]
    written["input_schema"] = {"type": "object", **(function.get("parameters") or {})}
    if function.get("strict") and traits.has_json_schema:
        written["strict"] = True
    elif function.get("strict"):
        changes.append(Change(param=where, action="dropped", detail="strict, which this model does not support"))
    cache_control = tool.get("cache_control") or function.get("cache_control")
    return written | ({"cache_control": cache_control} if isinstance(cache_control, dict) else {})


def _choice(choice: object, model: str, traits: ModelTraits) -> JsonObject:
    written: JsonObject = {}
    if isinstance(choice, str):
        written = {"type": CHOICES[choice]}
    elif isinstance(choice, dict):
        function = choice.get("function")
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise invalid_parameter(
                "tool_choice", "tool_choice must be none, auto, required or one function for anthropic"
            )
        written = {"type": "tool", "name": function["name"]}
    if written.get("type") in FORCED_CHOICES and not traits.can_force_tools:
        raise invalid_parameter(
            "tool_choice",
            f"tool_choice can be none or auto at anthropic/{model}, which cannot be forced to call a tool",
        )
    return written
