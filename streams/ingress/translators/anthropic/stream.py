"""Translation of chunks into the events of a Messages stream.

Text and thinking form one open block at a time. Tool calls stay open until the end, because OpenAI may continue any of
them later.
Source: Anthropic's page "Streaming Messages".
"""

from __future__ import annotations

from schemas.json_types import JsonObject
from streams.ingress.translators.anthropic.response import message_id, stop_details, stop_reason, thoughts, usage

DELTAS = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking")}
"""Type of the delta, and the field of the text, by type of block."""


class MessagesEventStream:
    """State of one stream: takes chunks, returns events."""

    def __init__(self) -> None:
        self._started = False
        self._next = 0
        self._open: tuple[str, int] | None = None
        """Type and index of the open block."""
        self._calls: dict[int, int] = {}
        """Index of the block of each tool call."""
        self._thoughts = 0
        """Number of signed thinking blocks written."""
        self._finish: tuple[object, object] = (None, None)
        self._refusal = ""
        self._has_content = False
        self._usage: JsonObject | None = None

    def feed(self, chunk: JsonObject) -> list[JsonObject]:
        """Return the events of one chunk."""
        events: list[JsonObject] = []
        if not self._started:
            self._started = True
            events.append(_message_start(chunk))
        if isinstance(chunk.get("usage"), dict):
            self._usage = chunk["usage"]
        for choice in chunk.get("choices") or ():
            if (choice.get("index") or 0) == 0:
                events += self._delta(choice.get("delta") or {})
                if choice.get("finish_reason"):
                    self._finish = choice["finish_reason"], choice.get("native_finish_reason")
        return events

    def finish(self) -> list[JsonObject]:
        """Return the last events, after the last chunk."""
        reason = stop_reason(*self._finish)
        events = self._text("text", self._refusal) if self._refusal and not self._has_content else []
        events += self._close()
        events += [{"type": "content_block_stop", "index": index} for index in self._calls.values()]
        delta = {"stop_reason": reason, "stop_sequence": None, **stop_details(reason, self._refusal)}
        return [
            *events,
            {"type": "message_delta", "delta": delta, "usage": usage(self._usage)},
            {"type": "message_stop"},
        ]

    def _delta(self, delta: JsonObject) -> list[JsonObject]:
        self._refusal += delta.get("refusal") or ""
        events = self._text("thinking", delta.get("reasoning_content") or "")
        if "extra_content" in delta:
            events += self._sign(thoughts({"extra_content": delta["extra_content"]}))
        events += self._text("text", delta.get("content") or "")
        for call in delta.get("tool_calls") or ():
            events += self._call(call)
        return events

    def _text(self, kind: str, text: str) -> list[JsonObject]:
        if not text:
            return []
        delta_type, field = DELTAS[kind]
        events = []
        if self._open is None or self._open[0] != kind:
            empty = {"type": kind, field: ""} | ({"signature": ""} if kind == "thinking" else {})
            events = [*self._close(), self._start(empty)]
            self._open = kind, self._next - 1
        self._has_content = self._has_content or kind == "text"
        return [*events, self._add(self._open_index(), {"type": delta_type, field: text})]

    def _sign(self, signed: list[JsonObject]) -> list[JsonObject]:
        """Write the new thinking blocks. The text of the open block is already written."""
        events: list[JsonObject] = []
        for block in signed[self._thoughts :]:
            is_open = block.get("type") == "thinking" and self._open is not None and self._open[0] == "thinking"
            if not is_open:
                bare = {**block, "signature": ""} if block.get("type") == "thinking" else block
                events += [*self._close(), self._start(bare)]
                self._open = "thinking", self._next - 1
            if block.get("signature"):
                delta = {"type": "signature_delta", "signature": block["signature"]}
                events.append(self._add(self._open_index(), delta))
            events += self._close()
        self._thoughts = max(self._thoughts, len(signed))
        return events

    def _call(self, call: JsonObject) -> list[JsonObject]:
        number, function = call.get("index") or 0, call.get("function") or {}
        events: list[JsonObject] = []
        if number not in self._calls:
            self._has_content = True
            block: JsonObject = {
                "type": "tool_use",
                "id": call.get("id") or "",
                "name": function.get("name") or "",
                "input": {},
            }
            events = [*self._close(), self._start(block)]
            self._calls[number] = self._next - 1
        if function.get("arguments"):
            delta = {"type": "input_json_delta", "partial_json": function["arguments"]}
            events.append(self._add(self._calls[number], delta))
        return events

    def _start(self, block: JsonObject) -> JsonObject:
        self._next += 1
        return {"type": "content_block_start", "index": self._next - 1, "content_block": block}

    def _add(self, index: int, delta: JsonObject) -> JsonObject:
        return {"type": "content_block_delta", "index": index, "delta": delta}

    def _open_index(self) -> int:
        assert self._open is not None, "a block was just opened"
        return self._open[1]

    def _close(self) -> list[JsonObject]:
        events = [{"type": "content_block_stop", "index": self._open[1]}] if self._open is not None else []
        self._open = None
        return events


def _message_start(chunk: JsonObject) -> JsonObject:
    """Return the first event. Its usage is empty; ``message_delta`` has the final counts, which replace it."""
    message: JsonObject = {
        "id": message_id(chunk),
        "type": "message",
        "role": "assistant",
        "model": chunk.get("model") or "",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage(None),
    }
    return {"type": "message_start", "message": message}
