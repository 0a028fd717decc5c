"""Decoder of Cohere's stream into OpenAI's chunks.

Source: Cohere's guides to streaming and to streaming of tool use. Events: message-start; content-start, -delta and -end
for text and thinking; tool-plan-delta; tool-call-start, -delta and -end; citation-start and -end; message-end with the
finish reason and the usage. Other events are ignored.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import orjson

from connectors.providers.cohere.response import FINISH_REASONS, raise_if_failed, read_logprobs, read_usage
from connectors.providers.provider import ProviderCall, ProviderError
from connectors.providers.wire.sse import SseReader
from connectors.providers.wire.usage import openai_usage
from schemas.events.parts import Usage
from schemas.json_types import JsonObject


class CohereStreamDecoder:
    """Decoder of one stream; see ``StreamDecoder``."""

    def __init__(self, call: ProviderCall) -> None:
        self.finish_reasons: list[str] = []
        self.usage = Usage()
        self.native_usage: JsonObject | None = None
        self._events = SseReader()
        self._head: JsonObject = {"id": call.request_id, "object": "chat.completion.chunk", "created": int(time.time())}
        self._head["model"] = call.model
        self._calls: dict[object, int] = {}
        """OpenAI's index of each tool call, by Cohere's."""
        self._citations: list[Any] = []
        self._started = False

    def feed(self, data: bytes) -> Iterator[JsonObject]:
        """See ``StreamDecoder``."""
        for event in self._events.feed(data):
            yield from self._read(event.data)

    def finish(self) -> Iterator[JsonObject]:
        """See ``Decoder``."""
        for event in self._events.finish():
            yield from self._read(event.data)
        if not self.finish_reasons:
            raise ProviderError("server", "the stream broke off before its end", http_status=200)

    def _read(self, data: str) -> list[JsonObject]:
        if data.strip() == "[DONE]" or self.finish_reasons:
            return []
        try:
            event = orjson.loads(data)
            delta = event.get("delta") or {}
            message = delta.get("message") or {}
            return self._event(event, delta, message)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ProviderError(
                "server", "the stream contains an event that is not in Cohere's format", http_status=200
            ) from None

    def _event(self, event: JsonObject, delta: JsonObject, message: JsonObject) -> list[JsonObject]:
        match event.get("type"):
            case "message-start":
                self._head["id"] = str(event.get("id") or self._head["id"])
                return self._chunk({"content": ""})
            case "content-start" | "content-delta":
                return self._content(message.get("content") or {}, event)
            case "tool-plan-delta":
                return self._chunk({"reasoning_content": str(message["tool_plan"])})
            case "tool-call-start" | "tool-call-delta" as kind:
                return self._chunk({"tool_calls": [self._tool_call(kind, event, message["tool_calls"])]})
            case "citation-start":
                self._citations.append(message["citations"])
            case "message-end":
                return self._end(delta)
        return []

    def _content(self, content: JsonObject, event: JsonObject) -> list[JsonObject]:
        logprobs = read_logprobs([event["logprobs"]]) if event.get("logprobs") else None
        if content.get("thinking"):
            return self._chunk({"reasoning_content": str(content["thinking"])})
        if content.get("text") or logprobs:
            return self._chunk({"content": str(content.get("text") or "")}, logprobs=logprobs)
        return []

    def _tool_call(self, kind: str, event: JsonObject, call: JsonObject) -> JsonObject:
        if kind == "tool-call-start":
            self._calls[event.get("index")] = len(self._calls)
            named = {"id": str(call["id"]), "type": "function"}
        else:
            named = {}
        index = self._calls.get(event.get("index"), len(self._calls) - 1)
        if index < 0:
            raise ValueError("a part of a tool call that has not started")
        function = {name: str(value) for name, value in call["function"].items() if name in {"name", "arguments"}}
        return {"index": index, **named, "function": function}

    def _end(self, delta: JsonObject) -> list[JsonObject]:
        native = str(delta.get("finish_reason") or "")
        raise_if_failed(native, delta.get("error"))
        self.finish_reasons.append(native)
        self.native_usage = delta["usage"] if isinstance(delta.get("usage"), dict) else None
        self.usage = read_usage(self.native_usage)
        extra = {"extra_content": {"cohere": {"citations": self._citations}}} if self._citations else {}
        reasons = {"finish_reason": FINISH_REASONS.get(native, "stop"), "native_finish_reason": native}
        return [
            *self._chunk(extra, **reasons),
            {**self._head, "choices": [], "usage": openai_usage(self.usage, "cached_tokens")},
        ]

    def _chunk(self, delta: JsonObject, **more: object) -> list[JsonObject]:
        role = {} if self._started else {"role": "assistant"}
        self._started = True
        return [{**self._head, "choices": [{"index": 0, "delta": {**role, **delta}, "finish_reason": None, **more}]}]
