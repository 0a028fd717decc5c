"""Translation of OpenAI's messages into Bedrock's Converse format.

Converse requires alternating turns that start with the user, no blank text, images and documents as bytes, and all tool
results of one turn in one message. Source: Amazon Bedrock API Reference, "Message", "ContentBlock".
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Literal

from connectors.providers.anthropic.messages import anthropic_content
from connectors.providers.bedrock.models import cache_point
from connectors.providers.bedrock.reasoning import to_converse
from connectors.providers.parameters import invalid_parameter
from connectors.providers.wire.json_access import as_object, parse_object
from schemas.events.parts import Change
from schemas.json_types import JsonObject

IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}

DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}

_DATA_URL = re.compile(r"data:([^;,]+)(?:;[^;,]*)*;base64,(.*)", re.DOTALL)
_TOOL_USE_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_INVALID_IN_NAME = re.compile(r"[^a-zA-Z0-9\-()\[\]]+")


class ConverseMessages:
    """Messages and system prompt of a Converse request, written from OpenAI's messages."""

    def __init__(self, messages: Iterable[JsonObject], model: str) -> None:
        """Translate all messages.

        Raises:
            ProviderError: invalid_request, naming the message that Converse does not support.

        """
        self.system: list[JsonObject] = []
        self.messages: list[JsonObject] = []
        self._model = model
        self._changes: dict[Change, None] = {}
        for number, message in enumerate(messages):
            self._add(f"messages[{number}]", message)
        if not self.messages or self.messages[0]["role"] != "user":
            raise invalid_parameter("messages", "messages must begin with a user message for bedrock")

    @property
    def changes(self) -> list[Change]:
        """Differences from the caller's messages, each once."""
        return list(self._changes)

    @property
    def uses_tools(self) -> bool:
        """True if tools were called; Converse then requires their definitions."""
        return any("toolUse" in part or "toolResult" in part for turn in self.messages for part in turn["content"])

    def _add(self, at: str, message: JsonObject) -> None:
        if message.get("name") and message.get("role") != "function":
            self._note("dropped", "Converse has no names of participants")
        match message.get("role"):
            case "system" | "developer":
                self._system(at, message)
            case "user":
                self._turn(at, "user", list(self._parts(at, message.get("content"))))
            case "assistant":
                self._turn(at, "assistant", list(self._assistant(at, message)))
            case "tool":
                self._turn(at, "user", [self._result(at, message), *self._cache_point(message)])
            case _:
                raise invalid_parameter(at, f"{at} has a role that bedrock does not support")

    def _turn(self, at: str, role: str, blocks: list[JsonObject]) -> None:
        """Add blocks to the current turn, or begin the next one."""
        if not blocks:
            raise invalid_parameter(f"{at}.content", f"{at} is empty, which bedrock does not accept")
        if self.messages and self.messages[-1]["role"] == role:
            self.messages[-1]["content"].extend(blocks)
        else:
            self.messages.append({"role": role, "content": blocks})

    def _system(self, at: str, message: JsonObject) -> None:
        if self.messages:
            self._note("transformed", "system messages moved before the conversation")
        self.system.extend(self._parts(at, message.get("content")))

    def _assistant(self, at: str, message: JsonObject) -> Iterator[JsonObject]:
        if message.get("function_call") or message.get("audio"):
            raise invalid_parameter(at, f"{at} contains a function_call or audio, which bedrock does not support")
        yield from self._reasoning(message)
        yield from self._parts(at, message.get("content"))
        yield from self._text(message.get("refusal"))
        for call in message.get("tool_calls") or ():
            yield self._call(f"{at}.tool_calls", call)

    def _reasoning(self, message: JsonObject) -> Iterator[JsonObject]:
        """Write the model's reasoning as it came. No model accepts reasoning without a signature."""
        blocks = to_converse(self._model, message)
        if message.get("reasoning_content") and not blocks:
            self._note("dropped", "reasoning without a signature")
        for block in blocks:
            yield {"reasoningContent": block}

    def _call(self, at: str, call: JsonObject) -> JsonObject:
        function = call.get("function")
        if not isinstance(function, dict):
            raise invalid_parameter(
                at, f"{at} contains a call of a tool that is not a function, which bedrock does not support"
            )
        arguments = parse_object(function.get("arguments") or "{}")
        if arguments is None:
            raise invalid_parameter(at, f"{at} contains arguments that are not a JSON object, as bedrock requires")
        name = function.get("name")
        return {"toolUse": {"toolUseId": self._id(call.get("id")), "name": name, "input": arguments}}

    def _result(self, at: str, message: JsonObject) -> JsonObject:
        result = {
            "toolUseId": self._id(message.get("tool_call_id")),
            "content": [part for part in self._parts(at, message.get("content")) if "cachePoint" not in part],
        }
        return {
            "toolResult": result | ({"status": "error"} if anthropic_content(message).get("is_error") is True else {})
        }

    def _cache_point(self, holder: JsonObject) -> Iterator[JsonObject]:
        cache_control = holder.get("cache_control")
        if point := cache_point(self._model, cache_control):
            yield point
        elif cache_control is not None:
            self._note("dropped", "cache_control: this model does not support it")

    def _id(self, given: object) -> str:
        """Return a valid id: an invalid one is always replaced with the same hash."""
        text = str(given)
        if _TOOL_USE_ID.fullmatch(text):
            return text
        self._note("transformed", "ids of tool calls, for toolUseId")
        return "call_" + hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]

    def _parts(self, at: str, content: object) -> Iterator[JsonObject]:
        if isinstance(content, list):
            for number, part in enumerate(content):
                item = as_object(part)
                blocks = list(self._part(f"{at}.content[{number}]", item))
                yield from blocks
                yield from self._cache_point(item) if blocks else ()
        else:
            yield from self._text(content)

    def _part(self, at: str, part: JsonObject) -> Iterator[JsonObject]:
        match part.get("type"):
            case "text":
                yield from self._text(part.get("text"))
            case "refusal":
                yield from self._text(part.get("refusal"))
            case "image_url":
                yield self._image(at, part.get("image_url"))
            case "file":
                yield _document(at, part.get("file"))
            case _:
                raise invalid_parameter(at, f"{at} has a type that bedrock does not support")

    def _text(self, text: object) -> Iterator[JsonObject]:
        if isinstance(text, str) and text.strip():
            yield {"text": text}
        elif text:
            self._note("dropped", "blank text")

    def _image(self, at: str, image: object) -> JsonObject:
        given = image if isinstance(image, dict) else {"url": image}
        if given.get("detail") not in (None, "auto"):
            self._note("dropped", "the detail of images")
        kind, data = _data_url(at, given.get("url"))
        if kind not in IMAGES:
            raise invalid_parameter(at, f"{at} must be a png, jpeg, gif or webp image for bedrock")
        return {"image": {"format": IMAGES[kind], "source": {"bytes": data}}}

    def _note(self, action: Literal["transformed", "dropped"], detail: str) -> None:
        self._changes[Change(param="messages", action=action, detail=detail)] = None


def _document(at: str, file: object) -> JsonObject:
    given = as_object(file)
    kind, data = _data_url(at, given.get("file_data"))
    if kind not in DOCUMENTS:
        raise invalid_parameter(at, f"{at} must be one of {', '.join(DOCUMENTS.values())} for bedrock")
    name = _INVALID_IN_NAME.sub(" ", str(given.get("filename") or "")).strip()[:200] or "document"
    return {"document": {"format": DOCUMENTS[kind], "name": name, "source": {"bytes": data}}}


def _data_url(at: str, url: object) -> tuple[str, str]:
    """Split a data URL.

    Other URLs are refused, not fetched: a caller could make the gateway fetch from its internal network.
    """
    found = _DATA_URL.fullmatch(url) if isinstance(url, str) else None
    if found is None:
        raise invalid_parameter(
            at, f"{at} must be a data URL (data:<type>;base64,<bytes>): neither bedrock nor the gateway fetches URLs"
        )
    try:
        binascii.a2b_base64(found[2], strict_mode=True)
    except ValueError:
        raise invalid_parameter(at, f"{at} contains invalid base64") from None
    return found[1].lower(), found[2]
