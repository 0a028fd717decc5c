"""A Responses request as OpenAI's chat request.

Source: OpenAI's API reference, "Create a model response", and its guide "Migrate to the Responses API".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.ingress.translators.errors import invalid, safe_name
from streams.ingress.translators.responses.input_items import openai_messages

JSON = dict[str, Any]

PASSED_THROUGH = frozenset(
    {"model", "temperature", "top_p", "parallel_tool_calls", "metadata", "user", "service_tier", "safety_identifier"}
    | {"prompt_cache_key", "prompt_cache_retention"}
)
"""Said in the same words by both."""
DROPPED = frozenset({"store", "stream_options", "prompt_cache_options", "max_tool_calls"})
"""Left out: nothing is stored, padding against eavesdroppers is TLS's, and no tool is called here."""
DEFAULTS: dict[str, object] = {"background": False, "truncation": "disabled"}
"""Not to be had otherwise."""
LOGPROBS = "message.output_text.logprobs"


def chat_body(body: JSON) -> JSON:
    """OpenAI's chat request for a Responses request.

    Raises:
        UntranslatableError: it is no Responses request, or asks for what a chat can't have.

    """
    if not isinstance(body.get("model"), str):
        raise invalid("model", "must be a text")
    chat: JSON = {"messages": openai_messages(body.get("instructions"), body.get("input"))}
    for name, value in body.items():
        if value is None or name in {"input", "instructions"} or name in DROPPED or DEFAULTS.get(name) == value:
            continue
        if name in PASSED_THROUGH:
            chat[name] = value
        elif name in PARAMETER_WRITERS:
            PARAMETER_WRITERS[name](chat, value)
        else:
            raise invalid(
                safe_name(name), "is not supported by this gateway: it keeps nothing between calls and has no own tools"
            )
    return chat


def _stream(chat: JSON, value: object) -> None:
    chat["stream"] = value
    if value:
        chat["stream_options"] = {"include_usage": True}


def _max_output_tokens(chat: JSON, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise invalid("max_output_tokens", "must be a number of at least 1")
    chat["max_completion_tokens"] = value


def _top_logprobs(chat: JSON, value: object) -> None:
    if value:
        chat |= {"top_logprobs": value, "logprobs": True}


def _include(chat: JSON, value: object) -> None:
    """All but the log probabilities are of tools that are not here, or of thoughts that nobody encrypts here."""
    if not isinstance(value, list):
        raise invalid("include", "must be a list")
    if LOGPROBS in value:
        chat["logprobs"] = True


def _text(chat: JSON, value: object) -> None:
    text = _object("text", value)
    if text.get("verbosity") is not None:
        chat["verbosity"] = text["verbosity"]
    if text.get("format") is not None:
        form = _object("text.format", text["format"])
        match form.get("type"):
            case "text":
                pass
            case "json_object":
                chat["response_format"] = {"type": "json_object"}
            case "json_schema":
                named = ("name", "description", "schema", "strict")
                schema = {name: form[name] for name in named if form.get(name) is not None}
                chat["response_format"] = {"type": "json_schema", "json_schema": schema}
            case _:
                raise invalid("text.format.type", "must be text, json_object or json_schema")


def _reasoning(chat: JSON, value: object) -> None:
    """A summary is in the answer if the provider thinks aloud, asked for or not."""
    reasoning = _object("reasoning", value)
    for name, said in reasoning.items():
        if name == "effort" and said is not None:
            chat["reasoning_effort"] = said
        elif name not in {"effort", "summary", "generate_summary"} and said is not None:
            raise invalid(f"reasoning.{safe_name(name)}", "is not supported by this gateway")


def _tools(chat: JSON, value: object) -> None:
    if not isinstance(value, list):
        raise invalid("tools", "must be a list")
    if value:
        chat["tools"] = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(value)]


def _tool(tool: object, where: str) -> JSON:
    said = _object(where, tool)
    if said.get("type") != "function":
        raise invalid(f"{where}.type", f"is {safe_name(said.get('type'))}, and this gateway has no tools but functions")
    named = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {name: said[name] for name in named if said.get(name) is not None}}


def _tool_choice(chat: JSON, value: object) -> None:
    if value in ("none", "auto", "required"):
        chat["tool_choice"] = value
    elif isinstance(value, dict) and value.get("type") == "function":
        chat["tool_choice"] = {"type": "function", "function": {"name": value.get("name")}}
    else:
        raise invalid("tool_choice", "must be none, auto, required, or name a function")


def _object(where: str, value: object) -> JSON:
    if not isinstance(value, dict):
        raise invalid(where, "must be an object")
    return value


PARAMETER_WRITERS: dict[str, Callable[[JSON, object], None]] = {
    "stream": _stream,
    "max_output_tokens": _max_output_tokens,
    "top_logprobs": _top_logprobs,
    "include": _include,
    "text": _text,
    "reasoning": _reasoning,
    "tools": _tools,
    "tool_choice": _tool_choice,
}
