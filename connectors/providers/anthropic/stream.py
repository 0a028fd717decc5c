"""Decoder of a Messages stream into OpenAI's chunks.

Source: Anthropic's page "Streaming Messages": named events, cumulative counts, ``ping`` at any point, ``error`` after
the status 200, and ``message_stop`` at the end. Unknown events are ignored, as that page requires.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from connectors.providers.anthropic.errors import read_stream_error
from connectors.providers.anthropic.response import (
    THINKING_TYPES,
    USAGE_DETAILS,
    finish_reason_of,
    read_usage,
    refusal_text,
    write_thinking_blocks,
)
from connectors.providers.anthropic.structured_output import ANSWER_TOOL
from connectors.providers.provider import ProviderError
from connectors.providers.wire.json_access import as_text, object_at, parse_event
from connectors.providers.wire.sse import SseReader
from connectors.providers.wire.usage import openai_usage
from schemas.events.parts import Usage
from schemas.json_types import JsonObject


@dataclass(slots=True)
class ContentBlock:
    """A content block in progress."""

    content: JsonObject
    """The block as in an answer that is not streamed."""
    call_index: int | None = None
    """Index of its tool call in OpenAI's format."""
    has_arguments: bool = False
    """True once arguments have arrived."""


class MessageStreamDecoder:
    """Decoder of one stream; see ``StreamDecoder``."""

    def __init__(self, created: int, *, by_tool: bool) -> None:
        self.finish_reasons: list[str] = []
        self.usage = Usage()
        self.native_usage: JsonObject | None = None
        self._events = SseReader()
        self._by_tool = by_tool
        self._head: JsonObject = {"id": "", "object": "chat.completion.chunk", "created": created, "model": ""}
        self._blocks: dict[object, ContentBlock] = {}
        self._thinking_blocks: list[JsonObject] = []
        self._calls = 0
        self._is_done = False

    def feed(self, data: bytes) -> list[JsonObject]:
        """See ``StreamDecoder``."""
        return [chunk for event in self._events.feed(data) for chunk in self._read(parse_event(event.data))]

    def finish(self) -> list[JsonObject]:
        """See ``StreamDecoder``. A stream ends with ``message_stop``."""
        chunks = [chunk for event in self._events.finish() for chunk in self._read(parse_event(event.data))]
        if not self._is_done:
            raise ProviderError("server", "the stream broke off before its end", http_status=200)
        return chunks

    def _read(self, event: JsonObject) -> list[JsonObject]:
        if self._is_done:
            return []
        match event.get("type"):
            case "message_start":
                return self._start(object_at(event, "message"))
            case "content_block_start":
                return self._start_block(event.get("index"), object_at(event, "content_block"))
            case "content_block_delta":
                return self._add(event.get("index"), object_at(event, "delta"))
            case "content_block_stop":
                return self._stop_block(event.get("index"))
            case "message_delta":
                return self._stop_reason(object_at(event, "delta"), object_at(event, "usage"))
            case "message_stop":
                return self._stop()
            case "error":
                raise read_stream_error(event)
            case _:
                return []

    def _start(self, message: JsonObject) -> list[JsonObject]:
        self._head |= {"id": as_text(message.get("id")), "model": as_text(message.get("model"))}
        self._read_usage(object_at(message, "usage"))
        return [self._chunk({"role": "assistant", "content": ""})]

    def _start_block(self, index: object, content: JsonObject) -> list[JsonObject]:
        block = self._blocks[_key(index)] = ContentBlock(content)
        kind = content.get("type")
        if kind == "text" and as_text(content.get("text")):
            return [self._chunk({"content": content["text"]})]
        if kind == "thinking" and as_text(content.get("thinking")):
            return [self._chunk({"reasoning_content": content["thinking"]})]
        if kind != "tool_use" or (self._by_tool and content.get("name") == ANSWER_TOOL):
            return []
        block.call_index, self._calls = self._calls, self._calls + 1
        function = {"name": as_text(content.get("name")), "arguments": ""}
        call = {"index": block.call_index, "id": as_text(content.get("id")), "type": "function", "function": function}
        return [self._chunk({"tool_calls": [call]})]

    def _add(self, index: object, delta: JsonObject) -> list[JsonObject]:
        block = self._blocks.get(_key(index))
        if block is None:
            raise ProviderError("server", "the stream adds to a block that it never started", http_status=200)
        match delta.get("type"):
            case "text_delta":
                return self._text_chunk("content", as_text(delta.get("text")))
            case "input_json_delta":
                return self._input(block, as_text(delta.get("partial_json")))
            case "thinking_delta":
                added = as_text(delta.get("thinking"))
                block.content["thinking"] = as_text(block.content.get("thinking")) + added
                return self._text_chunk("reasoning_content", added)
            case "signature_delta":
                block.content["signature"] = as_text(delta.get("signature"))
        return []

    def _text_chunk(self, name: str, added: str) -> list[JsonObject]:
        return [self._chunk({name: added})] if added else []

    def _input(self, block: ContentBlock, piece: str) -> list[JsonObject]:
        block.has_arguments = block.has_arguments or bool(piece)
        if block.call_index is None:
            return self._text_chunk("content", piece)
        function = {"arguments": piece}
        return [self._chunk({"tool_calls": [{"index": block.call_index, "function": function}]})] if piece else []

    def _stop_block(self, index: object) -> list[JsonObject]:
        block = self._blocks.pop(_key(index), None)
        kind = as_text(block.content.get("type")) if block else ""
        if block and kind == "tool_use" and not block.has_arguments:  # it has none, or they were in its start event
            return self._input(block, orjson.dumps(block.content.get("input") or {}).decode())
        if block and kind in THINKING_TYPES:
            self._thinking_blocks.append(block.content)
            return [self._chunk({"extra_content": write_thinking_blocks(self._thinking_blocks)})]
        return []

    def _stop_reason(self, delta: JsonObject, usage: JsonObject) -> list[JsonObject]:
        self._read_usage(usage)
        reason = as_text(delta.get("stop_reason"))
        if not reason:
            return []
        self.finish_reasons = [reason]
        return [self._chunk({"refusal": refusal_text(delta.get("stop_details"))})] if reason == "refusal" else []

    def _stop(self) -> list[JsonObject]:
        self._is_done = True
        reason = self.finish_reasons[0] if self.finish_reasons else ""
        last = self._chunk({}, finish_reason_of(reason, calls=self._calls > 0))
        last["choices"][0]["native_finish_reason"] = reason
        return [last, {**self._head, "choices": [], "usage": openai_usage(self.usage, *USAGE_DETAILS)}]

    def _read_usage(self, usage: JsonObject) -> None:
        """Update the usage: each event counts the whole message so far, and omitted counts keep their value."""
        counts = {name: value for name, value in usage.items() if value is not None}
        if counts:
            self.native_usage = {**(self.native_usage or {}), **counts}
            self.usage = read_usage(self.native_usage)

    def _chunk(self, delta: JsonObject, finish_reason: str | None = None) -> JsonObject:
        choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return {**self._head, "choices": [choice]}


def _key(index: object) -> object:
    """Return the index of a block; a broken stream's other values count as one block."""
    return index if isinstance(index, int) else None
