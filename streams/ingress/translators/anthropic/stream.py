"""OpenAI's chunks as the events of a Messages stream.

Text and thoughts are one block at a time; tool calls stay open to the end, since OpenAI may come back to one of them.
Source: Anthropic's page "Streaming Messages".
"""

from __future__ import annotations

from typing import Any

from streams.ingress.translators.anthropic.response import message_id, stop_details, stop_reason, thoughts, usage

JSON = dict[str, Any]

PIECES = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking")}
"""By type of block: the type of its delta, and where the words stand in both."""


class MessagesEventStream:
    """Takes chunks in, gives events out."""

    def __init__(self) -> None:
        self._started = False
        self._next = 0
        self._open: tuple[str, int] | None = None
        """The type and index of the block that words go to."""
        self._calls: dict[int, int] = {}
        """The block of each tool call."""
        self._thoughts = 0
        """How many signed thoughts were told."""
        self._finish: tuple[object, object] = (None, None)
        self._refusal = ""
        self._said = False
        self._usage: JSON | None = None

    def feed(self, chunk: JSON) -> list[JSON]:
        """The events of one chunk."""
        events: list[JSON] = []
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

    def finish(self) -> list[JSON]:
        """The events of the end, once no chunk comes any more."""
        reason = stop_reason(*self._finish)
        events = self._words("text", self._refusal) if self._refusal and not self._said else []
        events += self._close()
        events += [{"type": "content_block_stop", "index": index} for index in self._calls.values()]
        delta = {"stop_reason": reason, "stop_sequence": None, **stop_details(reason, self._refusal)}
        return [
            *events,
            {"type": "message_delta", "delta": delta, "usage": usage(self._usage)},
            {"type": "message_stop"},
        ]

    def _delta(self, delta: JSON) -> list[JSON]:
        self._refusal += delta.get("refusal") or ""
        events = self._words("thinking", delta.get("reasoning_content") or "")
        if "extra_content" in delta:
            events += self._sign(thoughts({"extra_content": delta["extra_content"]}))
        events += self._words("text", delta.get("content") or "")
        for call in delta.get("tool_calls") or ():
            events += self._call(call)
        return events

    def _words(self, kind: str, words: str) -> list[JSON]:
        if not words:
            return []
        delta_type, field = PIECES[kind]
        events = []
        if self._open is None or self._open[0] != kind:
            empty = {"type": kind, field: ""} | ({"signature": ""} if kind == "thinking" else {})
            events = [*self._close(), self._start(empty)]
            self._open = kind, self._next - 1
        self._said = self._said or kind == "text"
        return [*events, self._add(self._open_index(), {"type": delta_type, field: words})]

    def _sign(self, signed: list[JSON]) -> list[JSON]:
        """Tell the thoughts that are new: the words of the one that is open were told already."""
        events: list[JSON] = []
        for block in signed[self._thoughts :]:
            is_told = block.get("type") == "thinking" and self._open is not None and self._open[0] == "thinking"
            if not is_told:
                bare = {**block, "signature": ""} if block.get("type") == "thinking" else block
                events += [*self._close(), self._start(bare)]
                self._open = "thinking", self._next - 1
            if block.get("signature"):
                delta = {"type": "signature_delta", "signature": block["signature"]}
                events.append(self._add(self._open_index(), delta))
            events += self._close()
        self._thoughts = max(self._thoughts, len(signed))
        return events

    def _call(self, call: JSON) -> list[JSON]:
        number, function = call.get("index") or 0, call.get("function") or {}
        events: list[JSON] = []
        if number not in self._calls:
            self._said = True
            block: JSON = {
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

    def _start(self, block: JSON) -> JSON:
        self._next += 1
        return {"type": "content_block_start", "index": self._next - 1, "content_block": block}

    def _add(self, index: int, delta: JSON) -> JSON:
        return {"type": "content_block_delta", "index": index, "delta": delta}

    def _open_index(self) -> int:
        assert self._open is not None, "a block was just opened"
        return self._open[1]

    def _close(self) -> list[JSON]:
        events = [{"type": "content_block_stop", "index": self._open[1]}] if self._open is not None else []
        self._open = None
        return events


def _message_start(chunk: JSON) -> JSON:
    """The counts are not known yet; those of ``message_delta`` are of the whole, and replace these."""
    message: JSON = {
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
