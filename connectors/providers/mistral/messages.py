"""Translation of OpenAI's messages for Mistral.

Source: Mistral API reference, "Chat Completion"; its error 3280: tool call ids must match ^[a-zA-Z0-9]{9}$. It
refuses unknown members, also in messages: 422, extra_forbidden.
"""

from __future__ import annotations

import hashlib
import re
import string
from typing import Any

from connectors.providers.openai_compatible.messages import messages_without
from connectors.providers.parameters import invalid_parameter
from connectors.providers.wire.json_access import as_object
from schemas.events.parts import Change
from schemas.json_types import JsonObject

FIELDS_BY_ROLE: dict[str, frozenset[str]] = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls", "prefix"}),
    "tool": frozenset({"role", "content", "tool_call_id", "name"}),
}
"""Members that a message of each role may have."""

ROLES = {"developer": "system"}

TOOL_CALL_ID = re.compile(r"[a-zA-Z0-9]{9}")
_DIGITS = string.digits + string.ascii_letters


def tool_call_id(given: str) -> str:
    """Return an id that Mistral accepts; the same id always gives the same one, so a result still matches its call."""
    if TOOL_CALL_ID.fullmatch(given):
        return given
    number = int.from_bytes(hashlib.sha256(given.encode()).digest()[:8])
    letters = []
    for _ in range(9):
        number, digit = divmod(number, len(_DIGITS))
        letters.append(_DIGITS[digit])
    return "".join(letters)


def write_messages(messages: list[JsonObject]) -> tuple[list[JsonObject], list[Change]]:
    """Translate the messages.

    Raises:
        ProviderError: invalid_request, naming the part that Mistral does not support.

    """
    written = [_message(message, f"messages[{index}]") for index, message in enumerate(messages)]
    removed = set[str]().union(
        *(_removed_fields(before, after) for before, after in zip(messages, written, strict=True))
    )
    changes = [messages_without(removed)] if removed else []
    if any(_comparable(before) != _comparable(after) for before, after in zip(messages, written, strict=True)):
        changes.append(Change(param="messages", action="transformed", detail="Mistral's format"))
    return written, changes


def _removed_fields(before: JsonObject, after: JsonObject) -> set[str]:
    names = {name for name, value in before.items() if value is not None} - after.keys()
    return names - {"reasoning_content", "extra_content"} if own_reasoning(before) is not None else names


def _comparable(message: JsonObject) -> JsonObject:
    return {name: message.get(name) for name in ("role", "content", "tool_calls", "tool_call_id")}


def _message(message: JsonObject, at: str) -> JsonObject:
    role = ROLES.get(message["role"], message["role"])
    if role not in FIELDS_BY_ROLE:
        raise invalid_parameter(f"{at}.role", f"{at}.role must be system, user, assistant or tool for mistral")
    written = {name: value for name, value in message.items() if name in FIELDS_BY_ROLE[role] and value is not None}
    written["role"] = role
    if isinstance(message.get("content"), list):
        written["content"] = [_part(part, f"{at}.content[{n}]") for n, part in enumerate(message["content"])]
    if "tool_call_id" in written:
        written["tool_call_id"] = tool_call_id(written["tool_call_id"])
    if "tool_calls" in written:
        written["tool_calls"] = [_call(call, f"{at}.tool_calls[{n}]") for n, call in enumerate(written["tool_calls"])]
    return _with_reasoning(message, written)


def _call(call: JsonObject, at: str) -> JsonObject:
    if not isinstance(call.get("function"), dict):
        raise invalid_parameter(at, f"{at} must be a call of a function; mistral supports no other tools of the caller")
    return {"id": tool_call_id(str(call.get("id", ""))), "type": "function", "function": call["function"]}


def _part(part: JsonObject, at: str) -> JsonObject:
    match part.get("type"):
        case "refusal":
            return {"type": "text", "text": part.get("refusal", "")}
        case "input_audio" if isinstance(part.get("input_audio"), dict):
            return {"type": "input_audio", "input_audio": part["input_audio"].get("data", "")}
        case "file":
            return _file(part.get("file"), at)
    return part


def _file(file: Any, at: str) -> JsonObject:  # noqa: ANN401 - JSON of any shape
    if isinstance(file, dict) and isinstance(file.get("file_data"), str):
        name = {"document_name": file["filename"]} if file.get("filename") else {}
        return {"type": "document_url", "document_url": file["file_data"], **name}
    raise invalid_parameter(at, f"{at} must contain the file as file_data: files uploaded to OpenAI are not available")


def own_reasoning(message: JsonObject) -> JsonObject | None:
    """Return Mistral's own reasoning, to send back; models without reasoning refuse other providers' reasoning."""
    extra, reasoning = as_object(message.get("extra_content")), message.get("reasoning_content")
    own = extra.get("mistral")
    if message.get("role") != "assistant" or not isinstance(own, dict) or not isinstance(reasoning, str):
        return None
    return {**own, "type": "thinking", "thinking": [{"type": "text", "text": reasoning}]}


def _with_reasoning(message: JsonObject, written: JsonObject) -> JsonObject:
    reasoning = own_reasoning(message)
    if reasoning is None:
        return written
    content = written.get("content") or []
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {**written, "content": [reasoning, *parts]}
