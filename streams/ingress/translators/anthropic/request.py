"""Translation of a Messages request into a chat completion request.

Source: Anthropic's API reference, "Create a Message".
"""

from __future__ import annotations

from schemas.json_types import JsonObject
from streams.ingress.translators.anthropic.messages import openai_messages
from streams.ingress.translators.chat_request import ParameterWriter, max_tokens_writer, require_object, write_stream
from streams.ingress.translators.errors import invalid, safe_name

PASSED_THROUGH = frozenset({"model", "temperature", "top_p", "top_k"})
"""Parameters with the same name and meaning in both APIs."""
DROPPED = frozenset({"service_tier", "cache_control", "speed", "diagnostics"})
"""Parameters that are dropped: they change the price and the speed of an answer, not its content."""
CHOICES = {"auto": "auto", "any": "required", "none": "none"}
EFFORTS = ((2048, "low"), (8192, "medium"))
"""Reasoning effort by the largest thinking budget in tokens; above the last one it is high."""


def chat_body(body: JsonObject) -> JsonObject:
    """Return the chat completion request.

    Raises:
        UntranslatableError: the body is not a Messages request, or uses a feature that only Anthropic has.

    """
    if not isinstance(body.get("model"), str):
        raise invalid("model", "must be a text")
    chat: JsonObject = {"messages": openai_messages(body.get("system"), body.get("messages"))}
    for name, value in body.items():
        if value is None or name in {"messages", "system"} or name in DROPPED:
            continue
        if name in PASSED_THROUGH:
            chat[name] = value
        elif name in PARAMETER_WRITERS:
            PARAMETER_WRITERS[name](chat, value)
        else:
            raise invalid(safe_name(name), "is not supported by this gateway")
    return chat


def _stop(chat: JsonObject, value: object) -> None:
    if not isinstance(value, list) or len(value) > 4:  # noqa: PLR2004 - OpenAI's
        raise invalid("stop_sequences", "must be a list of at most 4 texts")
    if value:
        chat["stop"] = value


def _metadata(chat: JsonObject, value: object) -> None:
    user_id = require_object("metadata", value).get("user_id")
    if user_id is not None:
        chat["user"] = user_id


def _tools(chat: JsonObject, value: object) -> None:
    if not isinstance(value, list):
        raise invalid("tools", "must be a list")
    if value:
        chat["tools"] = [_tool(tool, f"tools.{index}") for index, tool in enumerate(value)]


def _tool(value: object, path: str) -> JsonObject:
    tool = require_object(path, value)
    if tool.get("type") not in (None, "custom"):
        raise invalid(path, "is a built-in tool of Anthropic, which other providers do not have")
    function: JsonObject = {"name": tool.get("name"), "parameters": tool.get("input_schema")}
    function |= {name: tool[name] for name in ("description", "strict") if tool.get(name) is not None}
    cached = {"cache_control": tool["cache_control"]} if tool.get("cache_control") else {}
    return {"type": "function", "function": function, **cached}


def _tool_choice(chat: JsonObject, value: object) -> None:
    choice = require_object("tool_choice", value)
    if choice.get("type") == "tool":
        chat["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    elif choice.get("type") in tuple(CHOICES):
        chat["tool_choice"] = CHOICES[choice["type"]]
    else:
        raise invalid("tool_choice.type", "must be auto, any, none or tool")
    if choice.get("disable_parallel_tool_use"):
        chat["parallel_tool_calls"] = False


def _thinking(chat: JsonObject, value: object) -> None:
    """Derive the effort from a budget, unless the caller sets the effort itself."""
    thinking = require_object("thinking", value)
    match thinking.get("type"):
        case "adaptive":
            effort = "high"
        case "enabled" if isinstance(thinking.get("budget_tokens"), int):
            budget = thinking["budget_tokens"]
            effort = next((level for limit, level in EFFORTS if budget <= limit), "high")
        case "disabled" | "between_tools":
            effort = "none"
        case _:
            raise invalid("thinking", "must be adaptive, disabled, or enabled with budget_tokens")
    chat.setdefault("reasoning_effort", effort)


def _output_config(chat: JsonObject, value: object) -> None:
    config = require_object("output_config", value)
    if config.get("effort") is not None and chat.get("reasoning_effort") != "none":
        chat["reasoning_effort"] = config["effort"]
    if config.get("format") is not None:
        schema = require_object("output_config.format", config["format"]).get("schema")
        json_schema = {
            "name": "answer",
            "schema": require_object("output_config.format.schema", schema),
            "strict": True,
        }
        chat["response_format"] = {"type": "json_schema", "json_schema": json_schema}


PARAMETER_WRITERS: dict[str, ParameterWriter] = {
    "max_tokens": max_tokens_writer("max_tokens"),
    "stream": write_stream,
    "stop_sequences": _stop,
    "metadata": _metadata,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "thinking": _thinking,
    "output_config": _output_config,
}
