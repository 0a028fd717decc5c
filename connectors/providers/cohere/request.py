"""Translation of OpenAI's requests into Cohere's. Unsupported parameters are errors that name them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connectors.providers.parameters import AppliedParameters, invalid_parameter
from connectors.providers.provider import ProviderCall
from connectors.providers.wire.embeddings import text_inputs
from schemas.events.parts import Change
from schemas.json_types import JsonObject

NO_ARGUMENTS: JsonObject = {"type": "object", "properties": {}}
"""Schema of a function without parameters: Cohere requires one."""


def write_chat(call: ProviderCall, applied: AppliedParameters) -> JsonObject:
    """Write the body of a chat, and record the translated parameters.

    Raises:
        ProviderError: invalid_request, naming the parameter.

    """
    body: JsonObject = {"model": call.model, "messages": _messages(call.body["messages"], applied), **applied.passed}
    parameters = applied.transform
    for name, write in WRITERS.items():
        if name in parameters:
            written = write(parameters[name], parameters)
            body |= written
            if written and written != {name: parameters[name]}:
                applied.changes.append(Change(param=name, action="transformed", detail=", ".join(written)))
    if call.stream:
        body["stream"] = True
    return body


# --- messages


def _messages(messages: list[JsonObject], applied: AppliedParameters) -> list[JsonObject]:
    written = [_message(message, f"messages[{index}]") for index, message in enumerate(messages)]
    if any(message.get("name") for message in messages):
        applied.changes.append(Change(param="messages", action="dropped", detail="names of participants"))
    if any(message.get("reasoning_content") and not message.get("tool_calls") for message in messages):
        applied.changes.append(Change(param="messages", action="dropped", detail="reasoning of completed turns"))
    return written


def _message(message: JsonObject, at: str) -> JsonObject:
    match message["role"]:
        case "system" | "developer":
            return {"role": "system", "content": _content(message["content"], at)}
        case "user":
            return {"role": "user", "content": _content(message["content"], at)}
        case "assistant":
            return _assistant(message, at)
        case "tool":
            content = _content(message["content"], at)
            return {"role": "tool", "tool_call_id": message["tool_call_id"], "content": content}
    raise invalid_parameter(f"{at}.role", f"{at}.role function is not supported by Cohere; use tool")


def _assistant(message: JsonObject, at: str) -> JsonObject:
    for name in ("function_call", "audio"):
        if message.get(name) is not None:
            raise invalid_parameter(f"{at}.{name}", f"{at}.{name} is not supported by Cohere")
    written: JsonObject = {"role": "assistant"}
    content = message.get("content")
    if content is None:
        content = message.get("refusal")
    if content is not None:
        written["content"] = _content(content, at)
    if message.get("tool_calls"):
        written["tool_calls"] = [_tool_call(call, at) for call in message["tool_calls"]]
        if isinstance(message.get("reasoning_content"), str) and message["reasoning_content"]:
            written["tool_plan"] = message["reasoning_content"]
    return written


def _tool_call(call: JsonObject, at: str) -> JsonObject:
    if "function" not in call:
        raise invalid_parameter(
            f"{at}.tool_calls", f"{at}.tool_calls contains a tool that is not a function, which Cohere does not support"
        )
    function = {"name": call["function"]["name"], "arguments": call["function"]["arguments"]}
    return {"id": call["id"], "type": "function", "function": function}


def _content(content: str | list[JsonObject], at: str) -> str | list[JsonObject]:
    if isinstance(content, str):
        return content
    return [_part(part, f"{at}.content[{index}]") for index, part in enumerate(content)]


def _part(part: JsonObject, at: str) -> JsonObject:
    match part["type"]:
        case "text":
            return {"type": "text", "text": part["text"]}
        case "refusal":
            return {"type": "text", "text": part["refusal"]}
        case "image_url":
            image = {name: part["image_url"].get(name) for name in ("url", "detail")}
            return {"type": "image_url", "image_url": {name: value for name, value in image.items() if value}}
    raise invalid_parameter(
        at, f"{at} of type {part['type']} is not supported by Cohere, which accepts text and images"
    )


# --- parameters


def _stop(stop: object, _: JsonObject) -> JsonObject:
    return {"stop_sequences": [stop] if isinstance(stop, str) else stop}


def _tools(tools: list[JsonObject], _: JsonObject) -> JsonObject:
    if not all("function" in tool for tool in tools):
        raise invalid_parameter("tools", "tools contains a tool that is not a function, which Cohere does not support")
    written = [_tool(tool["function"]) for tool in tools]
    strict = {"strict_tools": True} if any(tool["function"].get("strict") for tool in tools) else {}
    return {"tools": written, **strict} if written else {}


def _tool(function: JsonObject) -> JsonObject:
    description = {"description": function["description"]} if function.get("description") else {}
    parameters = function.get("parameters") or NO_ARGUMENTS
    return {"type": "function", "function": {"name": function["name"], **description, "parameters": parameters}}


def _tool_choice(choice: str | JsonObject, parameters: JsonObject) -> JsonObject:
    if isinstance(choice, str):
        return {} if choice == "auto" else {"tool_choice": choice.upper()}
    name = (choice.get("function") or {}).get("name") if choice.get("type") == "function" else None
    named = [tool for tool in parameters.get("tools", ()) if tool["function"]["name"] == name]
    if not named:
        raise invalid_parameter(
            "tool_choice", "tool_choice must be none, auto, required or one of the functions in tools"
        )
    return {**_tools(named, parameters), "tool_choice": "REQUIRED"}


def _response_format(response_format: JsonObject, parameters: JsonObject) -> JsonObject:
    kind, schema = response_format["type"], (response_format.get("json_schema") or {}).get("schema")
    if kind == "text":
        return {}
    if parameters.get("tools"):
        raise invalid_parameter("response_format", "response_format is not supported by Cohere together with tools")
    if kind == "json_object":
        return {"response_format": {"type": "json_object"}}
    if kind == "json_schema" and isinstance(schema, dict):
        return {"response_format": {"type": "json_object", "json_schema": schema}}
    raise invalid_parameter(
        "response_format", "response_format must be text, json_object, or json_schema with a schema"
    )


def _reasoning_effort(effort: object, _: JsonObject) -> JsonObject:
    return {"thinking": {"type": "disabled" if effort == "none" else "enabled"}}


WRITERS: dict[str, Callable[[Any, JsonObject], JsonObject]] = {
    "stop": _stop,
    "tools": _tools,
    "tool_choice": _tool_choice,  # after the tools, because it may reduce them to one
    "response_format": _response_format,
    "reasoning_effort": _reasoning_effort,
}
"""Writer of each parameter, given all parameters. An empty object means Cohere's default."""


# --- embeddings


def write_embeddings(call: ProviderCall, applied: AppliedParameters, input_type: str) -> JsonObject:
    """Write the body of an embeddings call.

    A text that is too long is an error, as at OpenAI, unless the caller sets truncate.

    Raises:
        ProviderError: invalid_request, for token ids.

    """
    texts = text_inputs(call, "cohere")
    if applied.transform.get("encoding_format") == "base64":
        applied.changes.append(Change(param="encoding_format", action="transformed", detail="embedding_types"))
    defaults = {"input_type": input_type, "truncate": "NONE", "embedding_types": ["float"]}
    return {"model": call.model, "texts": texts, **defaults, **applied.passed}
