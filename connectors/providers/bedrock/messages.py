"""A conversation in OpenAI's words, written in those of Bedrock's Converse.

Converse wants user and assistant in turns, the first of them the user, no blank text, images and documents as bytes,
and all results of one turn's tools in one message. Source: Amazon Bedrock API Reference, "Message", "ContentBlock".
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
    """Takes messages in, in order."""

    def __init__(self, messages: Iterable[JsonObject], model: str) -> None:
        """Write all messages.

        Raises:
            ProviderError: invalid_request, naming the message that Converse can't be told.

        """
        self.system: list[JsonObject] = []
        self.messages: list[JsonObject] = []
        self._model = model
        self._changes: dict[Change, None] = {}
        for number, message in enumerate(messages):
            self._add(f"messages[{number}]", message)
        if not self.messages or self.messages[0]["role"] != "user":
            raise invalid_parameter("messages", "a conversation with bedrock must begin with a user's message")

    @property
    def changes(self) -> list[Change]:
        """What differs from what was asked for; each once."""
        return list(self._changes)

    @property
    def uses_tools(self) -> bool:
        """Whether tools were called in it: then Converse wants to be told of them again."""
        return any("toolUse" in part or "toolResult" in part for turn in self.messages for part in turn["content"])

    def _add(self, at: str, message: JsonObject) -> None:
        if message.get("name") and message.get("role") != "function":
            self._note("dropped", "Converse has no names for who speaks")
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
                raise invalid_parameter(at, f"{at} has a role that bedrock does not know")

    def _turn(self, at: str, role: str, blocks: list[JsonObject]) -> None:
        """Add to the turn that is under way, or begin the next one."""
        if not blocks:
            raise invalid_parameter(f"{at}.content", f"{at} says nothing, which bedrock does not take")
        if self.messages and self.messages[-1]["role"] == role:
            self.messages[-1]["content"].extend(blocks)
        else:
            self.messages.append({"role": role, "content": blocks})

    def _system(self, at: str, message: JsonObject) -> None:
        if self.messages:
            self._note("transformed", "system messages stand before the conversation")
        self.system.extend(self._parts(at, message.get("content")))

    def _assistant(self, at: str, message: JsonObject) -> Iterator[JsonObject]:
        if message.get("function_call") or message.get("audio"):
            raise invalid_parameter(at, f"{at} holds a function_call or audio, which bedrock has no words for")
        yield from self._reasoning(message)
        yield from self._parts(at, message.get("content"))
        yield from self._text(message.get("refusal"))
        for call in message.get("tool_calls") or ():
            yield self._call(f"{at}.tool_calls", call)

    def _reasoning(self, message: JsonObject) -> Iterator[JsonObject]:
        """Give back what the model thought, signed as it came; thoughts without a signature no model takes back."""
        blocks = to_converse(self._model, message)
        if message.get("reasoning_content") and not blocks:
            self._note("dropped", "reasoning can't go back without its signature")
        for block in blocks:
            yield {"reasoningContent": block}

    def _call(self, at: str, call: JsonObject) -> JsonObject:
        function = call.get("function")
        if not isinstance(function, dict):
            raise invalid_parameter(at, f"{at} holds a call that is of no function, which bedrock has no words for")
        arguments = parse_object(function.get("arguments") or "{}")
        if arguments is None:
            raise invalid_parameter(at, f"{at} holds arguments that are no JSON object, as bedrock wants them")
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

    def _cache_point(self, said: JsonObject) -> Iterator[JsonObject]:
        wish = said.get("cache_control")
        if point := cache_point(self._model, wish):
            yield point
        elif wish is not None:
            self._note("dropped", "cache_control: this model can't be told what to cache")

    def _id(self, given: object) -> str:
        """Keep an id that fits; make the same fitting one of the same id that does not."""
        text = str(given)
        if _TOOL_USE_ID.fullmatch(text):
            return text
        self._note("transformed", "ids of tool calls, to fit toolUseId")
        return "call_" + hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]

    def _parts(self, at: str, content: object) -> Iterator[JsonObject]:
        if isinstance(content, list):
            for number, part in enumerate(content):
                said = as_object(part)
                blocks = list(self._part(f"{at}.content[{number}]", said))
                yield from blocks
                yield from self._cache_point(said) if blocks else ()
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
                raise invalid_parameter(at, f"{at} is of a type that bedrock has no words for")

    def _text(self, text: object) -> Iterator[JsonObject]:
        if isinstance(text, str) and text.strip():
            yield {"text": text}
        elif text:
            self._note("dropped", "text that is blank")

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
    """Take a data URL apart. No other is fetched: whoever can make us fetch can make us look into our own network."""
    found = _DATA_URL.fullmatch(url) if isinstance(url, str) else None
    if found is None:
        raise invalid_parameter(
            at, f"{at} must hold its bytes, as data:<type>;base64,<bytes>: bedrock fetches nothing, nor do we"
        )
    try:
        binascii.a2b_base64(found[2], strict_mode=True)
    except ValueError:
        raise invalid_parameter(at, f"{at} holds bytes that are not base64") from None
    return found[1].lower(), found[2]
