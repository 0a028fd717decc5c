"""Translation of a Responses request into a chat completion request.

Source: OpenAI's API reference, "Create a model response", and its guide "Migrate to the Responses API".
"""

from __future__ import annotations

from schemas.json_types import JsonObject
from streams.ingress.translators.chat_request import ParameterWriter, max_tokens_writer, require_object, write_stream
from streams.ingress.translators.errors import invalid, safe_name
from streams.ingress.translators.responses.input_items import openai_messages

PASSED_THROUGH = frozenset(
    {"model", "temperature", "top_p", "parallel_tool_calls", "metadata", "user", "service_tier", "safety_identifier"}
    | {"prompt_cache_key", "prompt_cache_retention"}
)
"""Parameters with the same name and meaning in both APIs."""
DROPPED = frozenset({"store", "stream_options", "prompt_cache_options", "max_tool_calls"})
"""Parameters that are dropped: the gateway stores nothing, pads no stream, and calls no tools."""
DEFAULTS: dict[str, object] = {"background": False, "truncation": "disabled"}
"""Parameters that are accepted only with this value."""
LOGPROBS = "message.output_text.logprobs"


def chat_body(body: JsonObject) -> JsonObject:
    """Return the chat completion request.

    Raises:
        UntranslatableError: the body is not a Responses request, or uses a feature that chat completions lack.

    """
    if not isinstance(body.get("model"), str):
        raise invalid("model", "must be a text")
    chat: JsonObject = {"messages": openai_messages(body.get("instructions"), body.get("input"))}
    for name, value in body.items():
        if value is None or name in {"input", "instructions"} or name in DROPPED or DEFAULTS.get(name) == value:
            continue
        if name in PASSED_THROUGH:
            chat[name] = value
        elif name in PARAMETER_WRITERS:
            PARAMETER_WRITERS[name](chat, value)
        else:
            raise invalid(
                safe_name(name),
                "is not supported by this gateway, which keeps no state between calls and has no built-in tools",
            )
    return chat


def _top_logprobs(chat: JsonObject, value: object) -> None:
    if value:
        chat |= {"top_logprobs": value, "logprobs": True}


def _include(chat: JsonObject, value: object) -> None:
    """Accept log probabilities. All other values are for built-in tools or encrypted reasoning and have no effect."""
    if not isinstance(value, list):
        raise invalid("include", "must be a list")
    if LOGPROBS in value:
        chat["logprobs"] = True


def _text(chat: JsonObject, value: object) -> None:
    text = require_object("text", value)
    if text.get("verbosity") is not None:
        chat["verbosity"] = text["verbosity"]
    if text.get("format") is not None:
        text_format = require_object("text.format", text["format"])
        match text_format.get("type"):
            case "text":
                pass
            case "json_object":
                chat["response_format"] = {"type": "json_object"}
            case "json_schema":
                names = ("name", "description", "schema", "strict")
                schema = {name: text_format[name] for name in names if text_format.get(name) is not None}
                chat["response_format"] = {"type": "json_schema", "json_schema": schema}
            case _:
                raise invalid("text.format.type", "must be text, json_object or json_schema")


def _reasoning(chat: JsonObject, parameter: object) -> None:
    """Accept the effort. A summary is in the answer whenever the provider returns its reasoning."""
    reasoning = require_object("reasoning", parameter)
    for name, value in reasoning.items():
        if name == "effort" and value is not None:
            chat["reasoning_effort"] = value
        elif name not in {"effort", "summary", "generate_summary"} and value is not None:
            raise invalid(f"reasoning.{safe_name(name)}", "is not supported by this gateway")


def _tools(chat: JsonObject, value: object) -> None:
    if not isinstance(value, list):
        raise invalid("tools", "must be a list")
    if value:
        chat["tools"] = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(value)]


def _tool(value: object, path: str) -> JsonObject:
    tool = require_object(path, value)
    if tool.get("type") != "function":
        raise invalid(f"{path}.type", f"is {safe_name(tool.get('type'))}, but this gateway supports only functions")
    names = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {name: tool[name] for name in names if tool.get(name) is not None}}


def _tool_choice(chat: JsonObject, value: object) -> None:
    if value in ("none", "auto", "required"):
        chat["tool_choice"] = value
    elif isinstance(value, dict) and value.get("type") == "function":
        chat["tool_choice"] = {"type": "function", "function": {"name": value.get("name")}}
    else:
        raise invalid("tool_choice", "must be none, auto, required, or a function")


PARAMETER_WRITERS: dict[str, ParameterWriter] = {
    "stream": write_stream,
    "max_output_tokens": max_tokens_writer("max_output_tokens"),
    "top_logprobs": _top_logprobs,
    "include": _include,
    "text": _text,
    "reasoning": _reasoning,
    "tools": _tools,
    "tool_choice": _tool_choice,
}
