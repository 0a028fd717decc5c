"""Decoder of a ConverseStream into OpenAI's chunks.

Events: messageStart, then for each block contentBlockStart (of tools only), contentBlockDelta and contentBlockStop,
then messageStop, and after it metadata with the usage. Source: Amazon Bedrock API Reference, "ConverseStreamOutput".
"""

from __future__ import annotations

import orjson

from connectors.providers.bedrock.errors import read_exception
from connectors.providers.bedrock.event_stream import Frame, FrameReader
from connectors.providers.bedrock.reasoning import from_converse
from connectors.providers.bedrock.response import USAGE_DETAILS, finish_reason, read_usage
from connectors.providers.provider import ProviderError
from connectors.providers.wire.json_access import as_text, object_at, parse_event
from connectors.providers.wire.usage import openai_usage
from schemas.events.parts import Usage
from schemas.json_types import JsonObject


class ConverseStreamDecoder:
    """Decoder of one stream; see ``StreamDecoder``."""

    def __init__(self, stream_id: str, model: str, created_s: int, *, by_tool: bool) -> None:
        self.finish_reasons: list[str] = []
        self.usage = Usage()
        self.native_usage: JsonObject | None = None
        self._head: JsonObject = {
            "id": stream_id,
            "object": "chat.completion.chunk",
            "created": created_s,
            "model": model,
        }
        self._by_tool = by_tool
        self._model = model
        self._frames = FrameReader()
        self._tools: dict[int, _ToolCall] = {}
        self._reasoning: dict[int, JsonObject] = {}

    def feed(self, data: bytes) -> list[JsonObject]:
        """See ``StreamDecoder``."""
        return [chunk for frame in self._frames.feed(data) for chunk in self._read(frame)]

    def finish(self) -> list[JsonObject]:
        """See ``StreamDecoder``. A stream ends with messageStop; only the usage may be missing after it."""
        self._frames.finish()
        if not self.finish_reasons:
            raise ProviderError("server", "the stream broke off before its end", http_status=200)
        return []

    def _read(self, frame: Frame) -> list[JsonObject]:
        kind = frame.headers.get(":message-type")
        if kind == "exception":
            raise read_exception(frame.headers.get(":exception-type", ""), frame.payload)
        if kind == "error":
            message = orjson.dumps({"message": frame.headers.get(":error-message", "")})
            raise read_exception(frame.headers.get(":error-code", ""), message)
        event = parse_event(frame.payload)
        match frame.headers.get(":event-type"):
            case "messageStart":
                return [self._delta({"role": "assistant", "content": ""})]
            case "contentBlockStart":
                return self._begin(_index(event), object_at(object_at(event, "start"), "toolUse"))
            case "contentBlockDelta":
                return self._add(_index(event), object_at(event, "delta"))
            case "contentBlockStop":
                return self._end(_index(event))
            case "messageStop":
                return [self._stop(event)]
            case "metadata":
                return self._read_usage(event)
        return []  # an unknown, newer kind of event

    def _begin(self, index: int, tool: JsonObject) -> list[JsonObject]:
        if not tool or self._by_tool:
            return []
        call = self._tools[index] = _ToolCall(len(self._tools))
        function = {"name": as_text(tool.get("name")), "arguments": ""}
        return [self._call(call, {"id": as_text(tool.get("toolUseId")), "type": "function", "function": function})]

    def _add(self, index: int, delta: JsonObject) -> list[JsonObject]:
        if isinstance(delta.get("text"), str):
            return [self._delta({"content": delta["text"]})]
        if isinstance(text := object_at(delta, "toolUse").get("input"), str):
            return self._add_input(index, text)
        if reasoning := object_at(delta, "reasoningContent"):
            return self._add_reasoning(index, reasoning)
        return []

    def _add_input(self, index: int, text: str) -> list[JsonObject]:
        if self._by_tool:
            return [self._delta({"content": text})]
        tool = self._tools.get(index)
        if tool is None:
            raise ProviderError("server", "the stream continues a tool call that it never started", http_status=200)
        tool.has_input = tool.has_input or bool(text)
        return [self._call(tool, {"function": {"arguments": text}})] if text else []

    def _add_reasoning(self, index: int, reasoning: JsonObject) -> list[JsonObject]:
        """Collect reasoning with its signature: the model accepts it back only complete."""
        block = self._reasoning.setdefault(index, {})
        if isinstance(reasoning.get("redactedContent"), str):
            block["redactedContent"] = block.get("redactedContent", "") + reasoning["redactedContent"]
            return []
        text = block.setdefault("reasoningText", {"text": ""})
        for name in ("text", "signature"):
            if isinstance(reasoning.get(name), str):
                text[name] = text.get(name, "") + reasoning[name]
        return [self._delta({"reasoning_content": reasoning["text"]})] if isinstance(reasoning.get("text"), str) else []

    def _end(self, index: int) -> list[JsonObject]:
        tool = self._tools.get(index)
        if tool is not None and not tool.has_input:
            return [self._call(tool, {"function": {"arguments": "{}"}})]
        if index in self._reasoning:
            blocks = [self._reasoning[key] for key in sorted(self._reasoning)]
            return [self._delta({"extra_content": from_converse(self._model, blocks)})]
        return []

    def _stop(self, event: JsonObject) -> JsonObject:
        native = as_text(event.get("stopReason"))
        self.finish_reasons.append(native)
        reasons = {"finish_reason": finish_reason(native, by_tool=self._by_tool), "native_finish_reason": native}
        return {**self._head, "choices": [{"index": 0, "delta": {}, **reasons}]}

    def _read_usage(self, event: JsonObject) -> list[JsonObject]:
        self.native_usage = object_at(event, "usage")
        self.usage = read_usage(self.native_usage)
        return [{**self._head, "choices": [], "usage": openai_usage(self.usage, *USAGE_DETAILS)}]

    def _delta(self, delta: JsonObject) -> JsonObject:
        return {**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}

    def _call(self, tool: _ToolCall, part: JsonObject) -> JsonObject:
        return self._delta({"tool_calls": [{"index": tool.index, **part}]})


class _ToolCall:
    """A tool call in progress. Its index counts tool calls, not blocks."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.has_input = False


def _index(event: JsonObject) -> int:
    index = event.get("contentBlockIndex")
    return index if isinstance(index, int) else 0
