"""A Messages request as OpenAI's chat request.

Source: Anthropic's API reference, "Create a Message".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.ingress.translators.anthropic.messages import openai_messages
from streams.ingress.translators.errors import invalid, safe_name

JSON = dict[str, Any]

PASSED_THROUGH = frozenset({"model", "temperature", "top_p", "top_k"})
"""Said in the same words by both."""
DROPPED = frozenset({"service_tier", "cache_control", "speed", "diagnostics"})
"""Left out: they change what an answer costs and how fast it comes, and not what it is."""
CHOICES = {"auto": "auto", "any": "required", "none": "none"}
EFFORTS = ((2048, "low"), (8192, "medium"))
"""Up to how many tokens of thinking which effort is meant; beyond them it is high."""


def chat_body(body: JSON) -> JSON:
    """OpenAI's chat request for a Messages request.

    Raises:
        UntranslatableError: it is no Messages request, or asks for what only Anthropic has.

    """
    if not isinstance(body.get("model"), str):
        raise invalid("model", "must be a text")
    chat: JSON = {"messages": openai_messages(body.get("system"), body.get("messages"))}
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


def _max_tokens(chat: JSON, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise invalid("max_tokens", "must be a number of at least 1")
    chat["max_completion_tokens"] = value


def _stream(chat: JSON, value: object) -> None:
    """OpenAI counts a stream's tokens for who asks; Anthropic for everybody."""
    chat["stream"] = value
    if value:
        chat["stream_options"] = {"include_usage": True}


def _stop(chat: JSON, value: object) -> None:
    if not isinstance(value, list) or len(value) > 4:  # noqa: PLR2004 - OpenAI's
        raise invalid("stop_sequences", "must be a list of at most 4 texts")
    if value:
        chat["stop"] = value


def _metadata(chat: JSON, value: object) -> None:
    user_id = _object("metadata", value).get("user_id")
    if user_id is not None:
        chat["user"] = user_id


def _tools(chat: JSON, value: object) -> None:
    if not isinstance(value, list):
        raise invalid("tools", "must be a list")
    if value:
        chat["tools"] = [_tool(tool, f"tools.{index}") for index, tool in enumerate(value)]


def _tool(tool: object, where: str) -> JSON:
    said = _object(where, tool)
    if said.get("type") not in (None, "custom"):
        raise invalid(where, "is a tool of Anthropic's own, which other providers don't have")
    function: JSON = {"name": said.get("name"), "parameters": said.get("input_schema")}
    function |= {name: said[name] for name in ("description", "strict") if said.get(name) is not None}
    cached = {"cache_control": said["cache_control"]} if said.get("cache_control") else {}
    return {"type": "function", "function": function, **cached}


def _tool_choice(chat: JSON, value: object) -> None:
    choice = _object("tool_choice", value)
    if choice.get("type") == "tool":
        chat["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    elif choice.get("type") in tuple(CHOICES):
        chat["tool_choice"] = CHOICES[choice["type"]]
    else:
        raise invalid("tool_choice.type", "must be auto, any, none or tool")
    if choice.get("disable_parallel_tool_use"):
        chat["parallel_tool_calls"] = False


def _thinking(chat: JSON, value: object) -> None:
    """An effort that the caller names counts more than what can be read from a budget."""
    thinking = _object("thinking", value)
    match thinking.get("type"):
        case "adaptive":
            effort = "high"
        case "enabled" if isinstance(thinking.get("budget_tokens"), int):
            budget = thinking["budget_tokens"]
            effort = next((word for limit, word in EFFORTS if budget <= limit), "high")
        case "disabled" | "between_tools":
            effort = "none"
        case _:
            raise invalid("thinking", "must be adaptive, disabled, or enabled with budget_tokens")
    chat.setdefault("reasoning_effort", effort)


def _output_config(chat: JSON, value: object) -> None:
    config = _object("output_config", value)
    if config.get("effort") is not None and chat.get("reasoning_effort") != "none":
        chat["reasoning_effort"] = config["effort"]
    if config.get("format") is not None:
        schema = _object("output_config.format", config["format"]).get("schema")
        json_schema = {"name": "answer", "schema": _object("output_config.format.schema", schema), "strict": True}
        chat["response_format"] = {"type": "json_schema", "json_schema": json_schema}


def _object(where: str, value: object) -> JSON:
    if not isinstance(value, dict):
        raise invalid(where, "must be an object")
    return value


PARAMETER_WRITERS: dict[str, Callable[[JSON, object], None]] = {
    "max_tokens": _max_tokens,
    "stream": _stream,
    "stop_sequences": _stop,
    "metadata": _metadata,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "thinking": _thinking,
    "output_config": _output_config,
}
