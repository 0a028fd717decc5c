"""Translation of chunks into the events of a Responses stream.

Every item stays open until the end, because OpenAI may continue any of them later. The final items come from the whole
answer, which is assembled as for the reply, so they can't differ from it.
Source: OpenAI's API reference, "Streaming events" of Responses.
"""

from __future__ import annotations

from connectors.providers.wire.chunk_assembly import ChunkAssembler
from schemas.json_types import JsonObject
from streams.ingress.translators.responses.response import head, output, response
from streams.ingress.translators.translator import serial

EMPTY: dict[str, JsonObject] = {
    "output_text": {"type": "output_text", "text": "", "annotations": [], "logprobs": []},
    "refusal": {"type": "refusal", "refusal": ""},
    "summary_text": {"type": "summary_text", "text": ""},
}
"""Empty part, by type."""


class ResponsesEventStream:
    """State of one stream: takes chunks, returns events without sequence numbers."""

    def __init__(self, request: JsonObject) -> None:
        self._request = request
        self._assembly = ChunkAssembler()
        self._indexes: dict[str, int] = {}
        """Index of each item in the output, by id, in the order of arrival."""
        self._parts: list[str] = []
        """Types of the message's parts, in the order of arrival."""
        self._name = ""
        self._started = False

    def feed(self, chunk: JsonObject) -> list[JsonObject]:
        """Return the events of one chunk."""
        self._assembly.add(chunk)
        events = [] if self._started else self._start(chunk)
        for choice in chunk.get("choices") or ():
            if not choice.get("index"):
                events += self._choice(choice)
        return events

    def finish(self) -> list[JsonObject]:
        """Return the last events, after the last chunk."""
        events = [] if self._started else self._start({})
        whole = response(self._assembly.body, self._request) | {"output": self._output()}
        for item in whole["output"]:
            events += self._done_events(item)
        return [*events, {"type": f"response.{whole['status']}", "response": whole}]

    def fail(self, error: JsonObject) -> list[JsonObject]:
        """Return the last events of a failed stream. Its items are marked as incomplete."""
        events = [] if self._started else self._start({})
        details = error.get("error") or {}
        cause = {"code": details.get("code") or "server_error", "message": details.get("message") or ""}
        failed = response(self._assembly.body, self._request) | {"output": self._output()}
        failed |= {"status": "failed", "incomplete_details": None, "error": cause}
        return [*events, {"type": "response.failed", "response": failed}]

    def _start(self, chunk: JsonObject) -> list[JsonObject]:
        self._started, self._name = True, serial(chunk)
        started = head(chunk, self._request)
        return [
            {"type": "response.created", "response": started},
            {"type": "response.in_progress", "response": started},
        ]

    def _choice(self, choice: JsonObject) -> list[JsonObject]:
        delta = choice.get("delta") or {}
        events = self._reasoning(delta)
        logprobs = {"logprobs": (choice.get("logprobs") or {}).get("content") or []}
        if delta.get("content"):
            events += self._text("output_text", {"delta": delta["content"], **logprobs})
        if delta.get("refusal"):
            events += self._text("refusal", {"delta": delta["refusal"]})
        for call in delta.get("tool_calls") or ():
            events += self._call(call)
        return events

    def _reasoning(self, delta: JsonObject) -> list[JsonObject]:
        if not delta.get("reasoning_content") and not delta.get("extra_content"):
            return []
        item_id, text = f"rs_{self._name}", delta.get("reasoning_content")
        events = self._open({"id": item_id, "type": "reasoning", "summary": []})
        position = self._position(item_id, summary_index=0)
        if text and "summary_text" not in self._parts:
            self._parts.append("summary_text")
            part = EMPTY["summary_text"]
            events.append({"type": "response.reasoning_summary_part.added", **position, "part": part})
        if text:
            events.append({"type": "response.reasoning_summary_text.delta", **position, "delta": text})
        return events

    def _text(self, kind: str, fields: JsonObject) -> list[JsonObject]:
        item_id = f"msg_{self._name}"
        message = {"type": "message", "role": "assistant", "status": "in_progress", "content": []}
        events = self._open({"id": item_id, **message})
        if kind not in self._parts:
            self._parts.append(kind)
            position = self._position(item_id, content_index=self._message_parts().index(kind))
            events.append({"type": "response.content_part.added", **position, "part": EMPTY[kind]})
        position = self._position(item_id, content_index=self._message_parts().index(kind))
        return [*events, {"type": f"response.{kind}.delta", **position, **fields}]

    def _call(self, part: JsonObject) -> list[JsonObject]:
        calls = self._assembly.body["choices"][0]["message"]["tool_calls"]
        index = next(at for at, call in enumerate(calls) if call["index"] == part.get("index", call["index"]))
        call, item_id = calls[index], f"fc_{self._name}_{index}"
        names = {"call_id": call["id"], "name": call["function"]["name"]}
        started = {"type": "function_call", "status": "in_progress", **names, "arguments": ""}
        events = self._open({"id": item_id, **started})
        if arguments := (part.get("function") or {}).get("arguments"):
            position = self._position(item_id)
            events.append({"type": "response.function_call_arguments.delta", **position, "delta": arguments})
        return events

    def _open(self, item: JsonObject) -> list[JsonObject]:
        if item["id"] in self._indexes:
            return []
        self._indexes[item["id"]] = len(self._indexes)
        return [{"type": "response.output_item.added", "output_index": self._indexes[item["id"]], "item": item}]

    def _position(self, item_id: str, **index: int) -> JsonObject:
        return {"item_id": item_id, "output_index": self._indexes[item_id], **index}

    def _message_parts(self) -> list[str]:
        return [kind for kind in self._parts if kind != "summary_text"]

    def _output(self) -> list[JsonObject]:
        """Return the items, and the parts of the message, in the order of arrival."""
        items = sorted(output(self._assembly.body), key=lambda item: self._indexes[item["id"]])
        for item in items:
            if item["type"] == "message":
                item["content"].sort(key=lambda part: self._parts.index(part["type"]))
        return items

    def _done_events(self, item: JsonObject) -> list[JsonObject]:
        events: list[JsonObject] = []
        for index, part in enumerate(item.get("summary") or ()):
            position = self._position(item["id"], summary_index=index)
            events.append({"type": "response.reasoning_summary_text.done", **position, "text": part["text"]})
            events.append({"type": "response.reasoning_summary_part.done", **position, "part": part})
        for index, part in enumerate(item.get("content") or ()):
            position = self._position(item["id"], content_index=index)
            fields = {name: part[name] for name in ("text", "refusal", "logprobs") if name in part}
            events.append({"type": f"response.{part['type']}.done", **position, **fields})
            events.append({"type": "response.content_part.done", **position, "part": part})
        if item["type"] == "function_call":
            fields = {name: item[name] for name in ("name", "arguments")}
            events.append({"type": "response.function_call_arguments.done", **self._position(item["id"]), **fields})
        index = self._indexes[item["id"]]
        return [*events, {"type": "response.output_item.done", "output_index": index, "item": item}]
