"""Translation of the input items of a Responses request. The items of one assistant turn become one message.

Source: OpenAI's API reference, "Create a model response", input item list.
"""

from __future__ import annotations

from collections.abc import Callable

from schemas.json_types import JsonObject
from streams.ingress.translators.errors import invalid, safe_name

ROLES = ("user", "assistant", "system", "developer")


def openai_messages(instructions: object, items: object) -> list[JsonObject]:
    """Return all messages, the instructions first.

    Raises:
        UntranslatableError: an item is malformed, or refers to an earlier call.

    """
    if instructions is not None and not isinstance(instructions, str):
        raise invalid("instructions", "must be a text")
    messages: list[JsonObject] = [{"role": "system", "content": instructions}] if instructions else []
    if isinstance(items, str):
        return [*messages, {"role": "user", "content": items}]
    if not isinstance(items, list) or not items:
        raise invalid("input", "must be a text, or a list with at least one item")
    builder = MessageBuilder(messages)
    for index, item in enumerate(items):
        builder.add(item, f"input[{index}]")
    return builder.messages


class MessageBuilder:
    """Builds ``messages`` from items, one at a time."""

    def __init__(self, messages: list[JsonObject]) -> None:
        self.messages = messages
        self._reasoning: JsonObject = {}
        """Reasoning of the assistant, which becomes part of its next message."""

    def add(self, item: object, where: str) -> None:
        """Add an item of any type."""
        if not isinstance(item, dict):
            raise invalid(where, "must be an object")
        match item.get("type") or "message":
            case "message":
                self._message(item, where)
            case "function_call":
                self._call(item, where)
            case "function_call_output":
                self._result(item, where)
            case "reasoning":
                self._reasoning = _reasoning_fields(item)
            case "item_reference":
                raise invalid(where, "refers to an item of an earlier call, which this gateway does not keep")
            case kind:
                raise invalid(f"{where}.type", f"is {safe_name(kind)}, which this gateway does not support")

    def _message(self, item: JsonObject, where: str) -> None:
        role, content = item.get("role"), item.get("content")
        if role not in ROLES:
            raise invalid(f"{where}.role", "must be user, assistant, system or developer")
        text = content if isinstance(content, str) else parts(content, f"{where}.content")
        reasoning = self._take_reasoning()
        if role != "assistant":
            self.messages.append({"role": role, "content": text})
        elif self.messages and self.messages[-1].get("tool_calls") and self.messages[-1]["content"] is None:
            self.messages[-1]["content"] = text  # in a chat, text and tool calls of a turn are one message
        else:
            self.messages.append({"role": role, "content": text, **reasoning})

    def _call(self, item: JsonObject, where: str) -> None:
        for name in ("call_id", "name", "arguments"):
            if not isinstance(item.get(name), str):
                raise invalid(f"{where}.{name}", "must be a text")
        function = {"name": item["name"], "arguments": item["arguments"]}
        call = {"id": item["call_id"], "type": "function", "function": function, **_extras(item)}
        reasoning = self._take_reasoning()
        if not self.messages or self.messages[-1]["role"] != "assistant":
            self.messages.append({"role": "assistant", "content": None, **reasoning})
        self.messages[-1].setdefault("tool_calls", []).append(call)

    def _result(self, item: JsonObject, where: str) -> None:
        if not isinstance(item.get("call_id"), str):
            raise invalid(f"{where}.call_id", "must be a text")
        output = item.get("output")
        content = output if isinstance(output, str) else parts(output, f"{where}.output")
        if isinstance(content, list) and any(part["type"] != "text" for part in content):
            raise invalid(f"{where}.output", "may hold only text")
        self.messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": content})

    def _take_reasoning(self) -> JsonObject:
        """Return the reasoning since the last message, and reset it."""
        reasoning, self._reasoning = self._reasoning, {}
        return reasoning


def _reasoning_fields(item: JsonObject) -> JsonObject:
    fields = [part for name in ("summary", "content") if isinstance(item.get(name), list) for part in item[name]]
    text = "\n".join(str(part.get("text") or "") for part in fields if isinstance(part, dict))
    return ({"reasoning_content": text} if text else {}) | _extras(item)


def _extras(item: JsonObject) -> JsonObject:
    """Return the data that the provider expects back unchanged, such as a signature."""
    return {"extra_content": item["extra_content"]} if item.get("extra_content") else {}


def parts(content: object, where: str) -> list[JsonObject]:
    """Translate a list of content parts.

    Raises:
        UntranslatableError: a part is malformed, or of a type that chat completions lack.

    """
    if not isinstance(content, list) or not content or not all(isinstance(part, dict) for part in content):
        raise invalid(where, "must be a text, or a list with at least one part")
    translated = []
    for index, part in enumerate(content):
        write = PARTS.get(str(part.get("type")))
        chat_part = write(part) if write is not None else None
        if chat_part is None:
            raise invalid(
                f"{where}[{index}]",
                f"is a part of type {safe_name(part.get('type'))} that this gateway does not support",
            )
        translated.append(chat_part)
    return translated


def _text(part: JsonObject) -> JsonObject | None:
    return {"type": "text", "text": part["text"]} if isinstance(part.get("text"), str) else None


def _refusal(part: JsonObject) -> JsonObject | None:
    return {"type": "refusal", "refusal": part["refusal"]} if isinstance(part.get("refusal"), str) else None


def _image(part: JsonObject) -> JsonObject | None:
    if not isinstance(part.get("image_url"), str):
        return None
    detail = {"detail": part["detail"]} if part.get("detail") else {}
    return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}


def _file(part: JsonObject) -> JsonObject | None:
    named = {name: part[name] for name in ("file_data", "file_id", "filename") if part.get(name) is not None}
    return {"type": "file", "file": named} if {"file_data", "file_id"} & named.keys() else None


def _audio(part: JsonObject) -> JsonObject | None:
    return {"type": "input_audio", "input_audio": part["input_audio"]} if part.get("input_audio") else None


PARTS: dict[str, Callable[[JsonObject], JsonObject | None]] = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}
