"""The input items of a Responses request as OpenAI's messages: what the model said in one turn becomes one message.

Source: OpenAI's API reference, "Create a model response", input item list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.ingress.translators.errors import invalid, safe_name

JSON = dict[str, Any]

ROLES = ("user", "assistant", "system", "developer")


def openai_messages(instructions: object, given: object) -> list[JSON]:
    """All messages, the instructions first.

    Raises:
        UntranslatableError: an item is malformed, or needs what was kept of another call.

    """
    if instructions is not None and not isinstance(instructions, str):
        raise invalid("instructions", "must be a text")
    messages: list[JSON] = [{"role": "system", "content": instructions}] if instructions else []
    if isinstance(given, str):
        return [*messages, {"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise invalid("input", "must be a text, or a list with at least one item")
    turns = MessageBuilder(messages)
    for index, item in enumerate(given):
        turns.add(item, f"input[{index}]")
    return turns.messages


class MessageBuilder:
    """Takes items in; ``messages`` is what they have become so far."""

    def __init__(self, messages: list[JSON]) -> None:
        self.messages = messages
        self._thought: JSON = {}
        """What the model thought before it spoke: a part of its next message."""

    def add(self, item: object, where: str) -> None:
        """One item, of whatever type."""
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
                self._thought = _thought(item)
            case "item_reference":
                raise invalid(where, "refers to an item of another call, and this gateway keeps none")
            case kind:
                raise invalid(f"{where}.type", f"is {safe_name(kind)}, which this gateway can't pass on")

    def _message(self, item: JSON, where: str) -> None:
        role, content = item.get("role"), item.get("content")
        if role not in ROLES:
            raise invalid(f"{where}.role", "must be user, assistant, system or developer")
        said = content if isinstance(content, str) else parts(content, f"{where}.content")
        thoughts = self._thoughts()
        if role != "assistant":
            self.messages.append({"role": role, "content": said})
        elif self.messages and self.messages[-1].get("tool_calls") and self.messages[-1]["content"] is None:
            self.messages[-1]["content"] = said  # a chat has the calls of a turn beside its words, in one message
        else:
            self.messages.append({"role": role, "content": said, **thoughts})

    def _call(self, item: JSON, where: str) -> None:
        for name in ("call_id", "name", "arguments"):
            if not isinstance(item.get(name), str):
                raise invalid(f"{where}.{name}", "must be a text")
        function = {"name": item["name"], "arguments": item["arguments"]}
        call = {"id": item["call_id"], "type": "function", "function": function, **_extras(item)}
        thoughts = self._thoughts()
        if not self.messages or self.messages[-1]["role"] != "assistant":
            self.messages.append({"role": "assistant", "content": None, **thoughts})
        self.messages[-1].setdefault("tool_calls", []).append(call)

    def _result(self, item: JSON, where: str) -> None:
        if not isinstance(item.get("call_id"), str):
            raise invalid(f"{where}.call_id", "must be a text")
        output = item.get("output")
        content = output if isinstance(output, str) else parts(output, f"{where}.output")
        if isinstance(content, list) and any(part["type"] != "text" for part in content):
            raise invalid(f"{where}.output", "can hold nothing but text")
        self.messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": content})

    def _thoughts(self) -> JSON:
        """What was thought since the last message, for the one that comes now."""
        thought, self._thought = self._thought, {}
        return thought


def _thought(item: JSON) -> JSON:
    said = [part for name in ("summary", "content") if isinstance(item.get(name), list) for part in item[name]]
    words = "\n".join(str(part.get("text") or "") for part in said if isinstance(part, dict))
    return ({"reasoning_content": words} if words else {}) | _extras(item)


def _extras(item: JSON) -> JSON:
    """What a provider wants to have back as it gave it, such as a signature."""
    return {"extra_content": item["extra_content"]} if item.get("extra_content") else {}


def parts(content: object, where: str) -> list[JSON]:
    """A list of content parts in chat's words.

    Raises:
        UntranslatableError: one is malformed, or of a type that a chat does not have.

    """
    if not isinstance(content, list) or not content or not all(isinstance(part, dict) for part in content):
        raise invalid(where, "must be a text, or a list with at least one part")
    said = []
    for index, part in enumerate(content):
        write = PARTS.get(str(part.get("type")))
        written = write(part) if write is not None else None
        if written is None:
            raise invalid(
                f"{where}[{index}]", f"is a part of type {safe_name(part.get('type'))} that this gateway can't pass on"
            )
        said.append(written)
    return said


def _text(part: JSON) -> JSON | None:
    return {"type": "text", "text": part["text"]} if isinstance(part.get("text"), str) else None


def _refusal(part: JSON) -> JSON | None:
    return {"type": "refusal", "refusal": part["refusal"]} if isinstance(part.get("refusal"), str) else None


def _image(part: JSON) -> JSON | None:
    if not isinstance(part.get("image_url"), str):
        return None
    detail = {"detail": part["detail"]} if part.get("detail") else {}
    return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}


def _file(part: JSON) -> JSON | None:
    named = {name: part[name] for name in ("file_data", "file_id", "filename") if part.get(name) is not None}
    return {"type": "file", "file": named} if {"file_data", "file_id"} & named.keys() else None


def _audio(part: JSON) -> JSON | None:
    return {"type": "input_audio", "input_audio": part["input_audio"]} if part.get("input_audio") else None


PARTS: dict[str, Callable[[JSON], JSON | None]] = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}
