"""Translation of OpenAI's messages: system apart, tool results in user turns, blocks for all content.

Source: Anthropic's API reference, "Create a Message", and its pages on vision, PDF support, tool use and thinking.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from connectors.providers.parameters import invalid_parameter
from connectors.providers.wire.json_access import object_at, objects_of, parse_object
from schemas.events.parts import Change
from schemas.json_types import JsonObject

EXTRA_CONTENT_KEY = "anthropic"
"""Key under ``extra_content`` for content that only Anthropic reads, such as its signed thinking blocks."""
IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,([A-Za-z0-9+/=_-]+)")
_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")


def write_messages(messages: Sequence[JsonObject], changes: list[Change]) -> JsonObject:
    """Write the ``system`` and ``messages`` of a request.

    Raises:
        ProviderError: invalid_request, naming the message that Anthropic does not support.

    """
    system: list[JsonObject] = []
    turns: list[JsonObject] = []
    _note(changes, "messages", "transformed", "system, and turns of blocks")
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if message.get("name") is not None:
            _note(changes, "messages", "dropped", "names of participants")
        if message["role"] in {"system", "developer"}:
            if turns:
                _note(changes, "messages", "transformed", "later instructions moved to system")
            system += _with_cache_control(message, _texts(message.get("content"), where))
        elif message["role"] == "tool":
            _add_result(turns, message, where, changes)
        else:
            turns.append(_turn(message, where, changes))
    if not turns:
        raise invalid_parameter("messages", "messages must contain more than instructions for anthropic")
    return {"system": system, "messages": turns} if system else {"messages": turns}


def tool_id(openai_id: str) -> str:
    """Return an id that Anthropic accepts (letters, digits, _ and -); other ids are always hashed to the same one."""
    if _TOOL_ID.fullmatch(openai_id):
        return openai_id
    return "toolu_" + hashlib.blake2b(openai_id.encode(), digest_size=12).hexdigest()


def _turn(message: JsonObject, where: str, changes: list[Change]) -> JsonObject:
    role = message["role"]
    if role == "user":
        blocks = _user_blocks(message.get("content"), where, changes)
    elif role == "assistant":
        blocks = _assistant_blocks(message, where, changes)
    else:
        raise invalid_parameter(where, f"{where} has role {role}, which anthropic does not support")
    if not blocks:
        raise invalid_parameter(where, f"{where} is empty, which anthropic does not accept")
    return {"role": role, "content": _with_cache_control(message, blocks)}


def _user_blocks(content: object, where: str, changes: list[Change]) -> list[JsonObject]:
    if not isinstance(content, list):
        return _texts(content, where)
    blocks: list[JsonObject] = []
    for index, part in enumerate(content):
        here = f"{where}.content[{index}]"
        if part["type"] == "image_url":
            blocks += _with_cache_control(part, [_image(part["image_url"], here, changes)])
        elif part["type"] == "file":
            blocks += _with_cache_control(part, [_document(part["file"], here)])
        else:
            blocks += _texts([part], here)
    return blocks


def _assistant_blocks(message: JsonObject, where: str, changes: list[Change]) -> list[JsonObject]:
    if message.get("function_call") or message.get("audio"):
        raise invalid_parameter(
            where, f"{where} contains a function_call or audio, which anthropic does not support; use tool_calls"
        )
    blocks = _thinking_blocks(message)
    if message.get("reasoning_content") and not blocks:
        _note(changes, "messages", "dropped", "reasoning without Anthropic's signature")
    blocks += _texts(message.get("content"), where)
    blocks += _texts(message.get("refusal"), where)
    return blocks + [_tool_use(call, where, changes) for call in message.get("tool_calls") or ()]


def _thinking_blocks(message: JsonObject) -> list[JsonObject]:
    """Return the thinking blocks with Anthropic's signature, which must be sent back unchanged."""
    blocks: list[JsonObject] = []
    for kept in objects_of(anthropic_content(message).get("thinking_blocks")):
        if kept.get("type") == "thinking" and kept.get("signature") and isinstance(kept.get("thinking"), str):
            blocks.append({name: kept[name] for name in ("type", "thinking", "signature")})
        elif kept.get("type") == "redacted_thinking" and kept.get("data"):
            blocks.append({"type": "redacted_thinking", "data": kept["data"]})
    return blocks


def anthropic_content(message: JsonObject) -> JsonObject:
    """Return Anthropic's own part of a message in OpenAI's format."""
    return object_at(message.get("extra_content"), EXTRA_CONTENT_KEY)


def _tool_use(call: JsonObject, where: str, changes: list[Change]) -> JsonObject:
    function = call.get("function")
    if not isinstance(function, dict):
        raise invalid_parameter(where, f"{where} calls a tool that is not a function, which anthropic does not support")
    arguments = parse_object(function["arguments"] or "{}")
    if arguments is None:
        raise invalid_parameter(
            where, f"{where} calls a function with arguments that are not a JSON object, as anthropic requires"
        )
    return {"type": "tool_use", "id": _valid_id(call["id"], changes), "name": function["name"], "input": arguments}


def _add_result(turns: list[JsonObject], message: JsonObject, where: str, changes: list[Change]) -> None:
    """Add a tool result. The results of one turn's calls are in one user message."""
    block: JsonObject = {"type": "tool_result", "tool_use_id": _valid_id(message["tool_call_id"], changes)}
    block["content"] = _texts(message.get("content"), where)
    if anthropic_content(message).get("is_error") is True:
        block["is_error"] = True
    blocks = _with_cache_control(message, [block])
    if turns and turns[-1]["content"][-1]["type"] == "tool_result":
        turns[-1]["content"] += blocks
    else:
        turns.append({"role": "user", "content": blocks})


def _valid_id(openai_id: str, changes: list[Change]) -> str:
    valid = tool_id(openai_id)
    if valid != openai_id:
        _note(changes, "messages", "transformed", "ids of tool calls")
    return valid


def _texts(content: object, where: str) -> list[JsonObject]:
    """Write text blocks. Blank ones are left out, because Anthropic refuses them."""
    if isinstance(content, list):
        return [
            block for part in content for block in _with_cache_control(part, _texts(_part_text(part, where), where))
        ]
    return [{"type": "text", "text": content}] if isinstance(content, str) and content.strip() else []


def _part_text(part: JsonObject, where: str) -> str:
    if part["type"] not in {"text", "refusal"}:
        raise invalid_parameter(where, f"{where} contains {part['type']}, which anthropic does not accept")
    return str(part[part["type"]])


def _image(image: JsonObject, where: str, changes: list[Change]) -> JsonObject:
    if image.get("detail") not in {None, "auto"}:
        _note(changes, "messages", "dropped", "detail of images")
    url = image["url"]
    if url.startswith("https://"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    found = _DATA_URL.fullmatch(url)
    if found is None or found[1] not in IMAGE_TYPES:
        raise invalid_parameter(
            where, f"{where} must be an https URL, or a base64 data URL of a JPEG, PNG, GIF or WebP"
        )
    return {"type": "image", "source": {"type": "base64", "media_type": found[1], "data": found[2]}}


def _document(file: JsonObject, where: str) -> JsonObject:
    found = _DATA_URL.fullmatch(file.get("file_data") or "")
    if found is None or found[1] != "application/pdf":
        raise invalid_parameter(where, f"{where} must be a PDF in a base64 data URL; anthropic supports no other files")
    title = {"title": file["filename"]} if file.get("filename") else {}
    return {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": found[2]},
        **title,
    }


def _with_cache_control(holder: JsonObject, blocks: list[JsonObject]) -> list[JsonObject]:
    """Mark the last block as the end of a cached prefix, if a part or message has ``cache_control``."""
    if blocks and isinstance(holder.get("cache_control"), dict):
        blocks[-1]["cache_control"] = holder["cache_control"]
    return blocks


def _note(changes: list[Change], param: str, action: Any, detail: str) -> None:  # noqa: ANN401 - Change has the literals
    change = Change(param=param, action=action, detail=detail)
    if change not in changes:
        changes.append(change)
