"""Translation of OpenAI's messages into Gemini's contents and system instruction.

Sources: Gemini API, "Generating content" (Content, Part), "Function calling", "Thought signatures", "File input
methods". Gemini matches a function response by the function's name and its position; the id of the call is sent too,
to distinguish two calls of one function.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence
from typing import Any

from connectors.providers.parameters import invalid_parameter
from connectors.providers.provider import ProviderError
from connectors.providers.wire.json_access import as_text, object_at, parse_object
from schemas.events.parts import Change
from schemas.json_types import JsonObject

DATA_URL = re.compile(r"data:([^;,]+)(?:;[^;,]+)*;base64,", re.IGNORECASE)
FETCHED_SCHEMES = ("https://", "gs://")
"""URL schemes that Google fetches itself."""
MEDIA_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
}
"""Media type by the URL's file extension; without one Google detects it."""

UNSIGNED_CALLS = "gemini-[12].*"
"""Models that accept their own calls without thought signatures."""
NO_SIGNATURE = "skip_thought_signature_validator"
"""Signature that Google accepts for calls of another model."""


def write_contents(
    messages: Sequence[JsonObject], model: str, changes: list[Change]
) -> tuple[list[JsonObject], list[JsonObject]]:
    """Translate the messages in order.

    Returns:
        The contents, and the parts of the system instruction.

    Raises:
        ProviderError: invalid_request for messages, if one of them cannot be translated.

    """
    contents: list[JsonObject] = []
    system: list[JsonObject] = []
    names: dict[str, str] = {}
    for message in messages:
        match message.get("role"):
            case "system" | "developer":
                system += _parts(message.get("content"))
            case "user":
                contents.append({"role": "user", "parts": _parts(message.get("content"))})
            case "assistant":
                _add_model(contents, message, model, names)
            case "tool":
                _add_result(contents, message, names)
            case role:
                raise _untranslatable(f"role {role!r} is not supported; use tool")
    if not contents:
        raise _untranslatable("a message other than the system's is required")
    changes += _changes(messages, contents)
    return contents, system


def _changes(messages: Sequence[JsonObject], contents: Sequence[JsonObject]) -> Iterator[Change]:
    """Yield the record of dropped message members and added signatures."""
    lists = [content for message in messages if isinstance(content := message.get("content"), list)]
    images = [part["image_url"] for parts in lists for part in parts if part.get("type") == "image_url"]
    if any(message.get("name") for message in messages):
        yield Change(param="messages.name", action="dropped", detail="Gemini has no names of participants")
    if any(image.get("detail") not in {None, "auto"} for image in images):
        yield Change(param="messages.image_url.detail", action="dropped", detail="Gemini chooses the resolution itself")
    if any(part.get("thoughtSignature") == NO_SIGNATURE for content in contents for part in content["parts"]):
        yield Change(param="messages.tool_calls", action="transformed", detail="thoughtSignature")


def _parts(content: Any) -> list[JsonObject]:  # noqa: ANN401 - a text, or a list of parts
    if not isinstance(content, list):
        return [{"text": content or ""}]
    return [_part(part) for part in content]


def _part(part: JsonObject) -> JsonObject:
    match part.get("type"):
        case "text":
            return {"text": part["text"]}
        case "refusal":
            return {"text": part["refusal"]}
        case "image_url":
            return _from_url(part["image_url"]["url"])
        case "input_audio":
            audio = part["input_audio"]
            return {"inlineData": {"mimeType": f"audio/{audio['format']}", "data": audio["data"]}}
        case "file" if part["file"].get("file_data"):
            return _from_url(part["file"]["file_data"])
    raise _untranslatable(
        f"a part of type {part.get('type')!r} must contain its data: files uploaded to OpenAI are not available"
    )


def _from_url(url: str) -> JsonObject:
    data = DATA_URL.match(url)
    if data:
        return {"inlineData": {"mimeType": data[1].lower(), "data": url[data.end() :]}}
    if not url.startswith(FETCHED_SCHEMES):
        raise _untranslatable("a URL must be https, gs or a base64 data URL")
    ending = re.split(r"[?#]", url, maxsplit=1)[0].rpartition(".")[2].lower()
    media_type = {"mimeType": MEDIA_TYPES[ending]} if ending in MEDIA_TYPES else {}
    return {"fileData": {**media_type, "fileUri": url}}


def _add_model(contents: list[JsonObject], message: JsonObject, model: str, names: dict[str, str]) -> None:
    if message.get("function_call") or message.get("audio"):
        raise _untranslatable("function_call and audio of an earlier answer are not supported")
    parts = _text_parts(message)
    calls = [_function_call(call, names) for call in message.get("tool_calls") or ()]
    if calls and "thoughtSignature" not in calls[0] and not fnmatch.fnmatchcase(model, UNSIGNED_CALLS):
        calls[0]["thoughtSignature"] = NO_SIGNATURE
    if parts or calls:
        contents.append({"role": "model", "parts": [*parts, *calls]})


def _text_parts(message: JsonObject) -> list[JsonObject]:
    """Translate the text of an earlier answer. Its signature must be on a part, if need be an empty one."""
    content = message.get("content")
    text = content if content is not None else message.get("refusal")
    parts = _parts(text) if text else []
    signature = _signature(message)
    if signature:
        parts = parts or [{"text": ""}]
        parts[-1]["thoughtSignature"] = signature
    return parts


def _function_call(call: JsonObject, names: dict[str, str]) -> JsonObject:
    if call.get("type", "function") != "function":
        raise _untranslatable("only calls of functions are supported")
    function = call["function"]
    names[call["id"]] = function["name"]
    arguments = parse_object(function.get("arguments") or "{}")
    if arguments is None:
        raise _untranslatable("the arguments of a tool call must be a JSON object")
    part: JsonObject = {"functionCall": {"id": call["id"], "name": function["name"], "args": arguments}}
    signature = _signature(call)
    if signature:
        part["thoughtSignature"] = signature
    return part


def _add_result(contents: list[JsonObject], message: JsonObject, names: dict[str, str]) -> None:
    """Add a tool result. The results of all calls of one turn must be in one content."""
    call_id = message["tool_call_id"]
    if call_id not in names:
        raise _untranslatable("a tool result has a tool_call_id that no earlier call has")
    text = "".join(part["text"] for part in _parts(message.get("content")))
    answer = parse_object(text)
    response = {"id": call_id, "name": names[call_id], "response": {"result": text} if answer is None else answer}
    if not (contents and "functionResponse" in contents[-1]["parts"][-1]):
        contents.append({"role": "user", "parts": []})
    contents[-1]["parts"].append({"functionResponse": response})


def _signature(holder: JsonObject) -> str:
    """Return a thought signature, in the format of Google's OpenAI-compatible endpoint."""
    return as_text(object_at(holder.get("extra_content"), "google").get("thought_signature"))


def _untranslatable(why: str) -> ProviderError:
    return invalid_parameter("messages", f"messages cannot be translated for gemini: {why}")
