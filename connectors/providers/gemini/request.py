"""Translation of OpenAI's chat request: generation settings, tools and thinking.

Sources: Gemini API, "Generating content" (GenerationConfig), "Function calling", "Structured output", "Thinking".
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any

from connectors.providers.gemini.messages import write_contents
from connectors.providers.gemini.parameters import CHAT, THINKING
from connectors.providers.parameters import AppliedParameters, invalid_parameter
from connectors.providers.provider import ProviderCall, ProviderError
from schemas.events.parts import Change
from schemas.json_types import JsonObject

MAX_STOPS = 5

MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
"""Gemini's mode for each tool choice. VALIDATED is AUTO with calls that always match their schema."""


def write_chat(call: ProviderCall) -> tuple[JsonObject, list[Change]]:
    """Write the request body.

    Raises:
        ProviderError: invalid_request, naming the unsupported parameter.

    """
    model = call.model.rpartition("/")[2]
    applied = CHAT.apply(call.body, model)
    contents, system = write_contents(call.body.get("messages") or [], model, applied.changes)
    config = {**applied.passed, **_translate_parameters(applied, model)}
    body: JsonObject = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    body |= _tools(applied, model)
    if config:
        body["generationConfig"] = config
    written = [(name, CHAT.rules[name].to) for name in applied.transform if CHAT.rules[name].to]
    applied.changes.extend(Change(param=name, action="transformed", detail=to) for name, to in written)
    return body, applied.changes


def _translate_parameters(applied: AppliedParameters, model: str) -> JsonObject:
    parameters = applied.transform
    config: JsonObject = {}
    if "stop" in parameters:
        config["stopSequences"] = _stops(parameters["stop"])
    if "response_format" in parameters:
        config |= _response_format(parameters["response_format"], model)
    if "reasoning_effort" in parameters:
        config["thinkingConfig"] = _thinking(parameters["reasoning_effort"], model)
    return {name: value for name, value in config.items() if value != {}}


def _stops(stop: object) -> list[Any]:
    stops = stop if isinstance(stop, list) else [stop]
    if len(stops) > MAX_STOPS:
        raise invalid_parameter("stop", f"stop must contain at most {MAX_STOPS} texts for gemini")
    return stops


def _response_format(form: Mapping[str, Any], model: str) -> JsonObject:
    match form.get("type"):
        case "text":
            return {}
        case "json_object":
            return {"responseMimeType": "application/json"}
        case "json_schema":
            named = form.get("json_schema")
            schema = named.get("schema") if isinstance(named, dict) else None
            return {"responseMimeType": "application/json", **({"responseJsonSchema": schema} if schema else {})}
    raise _unsupported_parameter("response_format", model, "its type must be text, json_object or json_schema")


def _thinking(effort: object, model: str) -> JsonObject:
    efforts = next(efforts for pattern, efforts in THINKING if fnmatch.fnmatchcase(model, pattern))
    if not isinstance(effort, str) or effort not in efforts:
        raise invalid_parameter(
            "reasoning_effort", f"reasoning_effort must be one of {', '.join(efforts)} for gemini/{model}"
        )
    return efforts[effort] if effort == "none" else {**efforts[effort], "includeThoughts": True}


def _tools(applied: AppliedParameters, model: str) -> JsonObject:
    tools, choice = applied.transform.get("tools") or [], applied.transform.get("tool_choice")
    if not tools:
        if choice not in (None, "auto", "none"):
            raise invalid_parameter("tool_choice", "tool_choice needs tools")
        return {}
    if "parallel_tool_calls" in applied.transform:
        raise _unsupported_parameter("parallel_tool_calls", model, "it cannot limit the answer to one call")
    written: JsonObject = {"tools": [{"functionDeclarations": [_declaration(tool, model) for tool in tools]}]}
    strict = any(tool["function"].get("strict") for tool in tools)
    config = _calling_config(choice if choice is not None else "auto", model, strict=strict)
    if choice is not None or strict:
        written["toolConfig"] = {"functionCallingConfig": config}
    return written


def _declaration(tool: Mapping[str, Any], model: str) -> JsonObject:
    """Write a function's declaration.

    ``parametersJsonSchema`` takes JSON Schema; ``parameters`` takes only Google's subset, without $ref and $defs.
    """
    if tool.get("type") != "function":
        raise _unsupported_parameter("tools", model, "only functions are supported")
    function = tool["function"]
    declaration: JsonObject = {"name": function["name"]}
    if function.get("description"):
        declaration["description"] = function["description"]
    if function.get("parameters"):
        declaration["parametersJsonSchema"] = function["parameters"]
    return declaration


def _calling_config(choice: Any, model: str, *, strict: bool) -> JsonObject:  # noqa: ANN401 - as the caller wrote it
    if isinstance(choice, str) and choice in MODES:
        return {"mode": "VALIDATED" if strict and choice == "auto" else MODES[choice]}
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind == "function":
        return {"mode": "ANY", "allowedFunctionNames": [_name(choice, model)]}
    if kind == "allowed_tools" and isinstance(choice.get("allowed_tools"), dict):
        allowed = choice["allowed_tools"]
        mode = "ANY" if allowed.get("mode") == "required" else "VALIDATED"
        if isinstance(allowed.get("tools"), list) and allowed["tools"]:
            return {"mode": mode, "allowedFunctionNames": [_name(tool, model) for tool in allowed["tools"]]}
    raise _unsupported_parameter("tool_choice", model, "it must be none, auto, required or named functions")


def _name(tool: Any, model: str) -> str:  # noqa: ANN401 - as the caller wrote it
    function = tool.get("function") if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name:
        raise _unsupported_parameter("tool_choice", model, "it must name functions")
    return name


def _unsupported_parameter(param: str, model: str, reason: str) -> ProviderError:
    return invalid_parameter(param, f"{param} is not supported by gemini/{model}: {reason}")
