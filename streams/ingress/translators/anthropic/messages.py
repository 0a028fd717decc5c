"""Translation of the messages of a Messages request. One user message may become several.

Source: Anthropic's API reference, "Create a Message".
"""

from __future__ import annotations

import base64

import orjson

from schemas.json_types import JsonObject
from streams.ingress.translators.errors import invalid, safe_name

OWN = "anthropic"
"""Key in ``extra_content`` of the data that only Anthropic understands. Its provider reads it from there."""
THOUGHTS = frozenset({"thinking", "redacted_thinking"})


def openai_messages(system: object, messages: object) -> list[JsonObject]:
    """Return all messages, the system message first.

    Raises:
        UntranslatableError: a message is malformed, or uses a feature that only Anthropic has.

    """
    translated: list[JsonObject] = []
    if system:
        translated.append({"role": "system", "content": _plain(system, "system")})
    if not isinstance(messages, list) or not messages:
        raise invalid("messages", "must be a list with at least one message")
    for index, message in enumerate(messages):
        translated += _message(message, f"messages.{index}")
    return translated


def _message(message: object, where: str) -> list[JsonObject]:
    role = message.get("role") if isinstance(message, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    if role not in ("user", "assistant", "system"):
        raise invalid(f"{where}.role", "must be user, assistant or system")
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    blocks = _blocks(content, f"{where}.content")
    if role == "system":
        return [{"role": role, "content": _plain(content, where)}]
    return _user(blocks, where) if role == "user" else [_assistant(blocks, where)]


def _user(blocks: list[JsonObject], where: str) -> list[JsonObject]:
    """Return tool results as messages of their own, before the rest of the user message."""
    results: list[JsonObject] = []
    parts: list[JsonObject] = []
    for index, block in enumerate(blocks):
        here = f"{where}.content.{index}"
        if block["type"] == "tool_result":
            result, other_parts = _result(block, here)
            results.append(result)
            parts += other_parts
        else:
            parts.append(_part(block, here))
    return results + ([{"role": "user", "content": parts}] if parts or not results else [])


def _result(block: JsonObject, where: str) -> tuple[JsonObject, list[JsonObject]]:
    """Return a tool result, and its images, which go into the user message: OpenAI's tool results hold only text."""
    if not isinstance(block.get("tool_use_id"), str):
        raise invalid(f"{where}.tool_use_id", "must be a text")
    content = block.get("content") or ""
    inner = [] if isinstance(content, str) else [_part(part, where) for part in _blocks(content, f"{where}.content")]
    texts = [part for part in inner if part["type"] == "text"]
    result: JsonObject = {"role": "tool", "tool_call_id": block["tool_use_id"], "content": texts or ""}
    if isinstance(content, str):
        result["content"] = content
    if block.get("is_error"):
        result["extra_content"] = {OWN: {"is_error": True}}
    return _with_cache_control(block, result), [part for part in inner if part["type"] != "text"]


def _assistant(blocks: list[JsonObject], where: str) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": None}
    texts = [_part(block, where) for block in blocks if block["type"] not in THOUGHTS | {"tool_use"}]
    if any(part["type"] != "text" for part in texts):
        raise invalid(f"{where}.content", "holds a block that only a user message may have")
    thoughts = [block for block in blocks if block["type"] in THOUGHTS]
    signed = [block for block in thoughts if block.get("signature") or block.get("data")]
    reasoning = "".join(str(block.get("thinking") or "") for block in thoughts)
    if texts:
        message["content"] = texts
    if reasoning:
        message["reasoning_content"] = reasoning
    if signed:
        message["extra_content"] = {OWN: {"thinking_blocks": signed}}
    calls = [_call(block, where) for block in blocks if block["type"] == "tool_use"]
    return message | ({"tool_calls": calls} if calls else {})


def _call(block: JsonObject, where: str) -> JsonObject:
    if not isinstance(block.get("id"), str) or not isinstance(block.get("name"), str):
        raise invalid(f"{where}.content", "holds a tool_use without an id or a name")
    function = {"name": block["name"], "arguments": orjson.dumps(block.get("input") or {}).decode()}
    return {"id": block["id"], "type": "function", "function": function}


def _part(block: JsonObject, where: str) -> JsonObject:
    kind = block["type"]
    if kind == "text" and isinstance(block.get("text"), str):
        return _with_cache_control(block, {"type": "text", "text": block["text"]})
    source = block.get("source")
    if kind == "image" and isinstance(source, dict):
        return _with_cache_control(block, {"type": "image_url", "image_url": {"url": _url(source, where)}})
    if kind == "document" and isinstance(source, dict):
        name = {"filename": block["title"]} if block.get("title") else {}
        return _with_cache_control(block, {"type": "file", "file": {"file_data": _file(source, where), **name}})
    raise invalid(where, f"holds a block of type {safe_name(kind)}, which this gateway does not support")


def _url(source: JsonObject, where: str) -> str:
    if source.get("type") == "url" and isinstance(source.get("url"), str):
        return str(source["url"])
    return _file(source, where)


def _file(source: JsonObject, where: str) -> str:
    media_type, data = source.get("media_type"), source.get("data")
    if source.get("type") not in ("base64", "text") or not isinstance(media_type, str) or not isinstance(data, str):
        raise invalid(f"{where}.source", "must be of type base64, text for a document, or url for an image")
    if source["type"] == "text":
        data = base64.b64encode(data.encode()).decode()
    return f"data:{media_type};base64,{data}"


def _plain(content: object, where: str) -> object:
    if isinstance(content, str):
        return content
    blocks = _blocks(content, where)
    if any(block["type"] != "text" for block in blocks):
        raise invalid(where, "may hold only text")
    return [_part(block, where) for block in blocks]


def _blocks(content: object, where: str) -> list[JsonObject]:
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise invalid(where, "must be a text or a list of blocks")
    if not all(isinstance(block.get("type"), str) for block in content):
        raise invalid(where, "holds a block without a type")
    return content


def _with_cache_control(block: JsonObject, part: JsonObject) -> JsonObject:
    return {**part, "cache_control": block["cache_control"]} if block.get("cache_control") else part
