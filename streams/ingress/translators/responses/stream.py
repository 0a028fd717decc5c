"""OpenAI's chunks as the events of a Responses stream.

Every item stays open to the end, since OpenAI may come back to one of them. What is said then is taken from the whole
answer, which is put together here as it is for the record: the parts can't differ from the sum.
Source: OpenAI's API reference, "Streaming events" of Responses.
"""

from __future__ import annotations

from typing import Any

from connectors.providers.wire.chunk_assembly import ChunkAssembler
from streams.ingress.translators.responses.response import head, output, response
from streams.ingress.translators.translator import serial

JSON = dict[str, Any]

EMPTY: dict[str, JSON] = {
    "output_text": {"type": "output_text", "text": "", "annotations": [], "logprobs": []},
    "refusal": {"type": "refusal", "refusal": ""},
    "summary_text": {"type": "summary_text", "text": ""},
}
"""By type of part: how it begins."""


class ResponsesEventStream:
    """Takes chunks in, gives events out; they lack nothing but their numbers."""

    def __init__(self, asked: JSON) -> None:
        self._asked = asked
        self._assembly = ChunkAssembler()
        self._places: dict[str, int] = {}
        """The place of each item in the output, by its id: as they came."""
        self._parts: list[str] = []
        """The types of the message's parts, as they came."""
        self._name = ""
        self._started = False

    def feed(self, chunk: JSON) -> list[JSON]:
        """The events of one chunk."""
        self._assembly.add(chunk)
        events = [] if self._started else self._start(chunk)
        for choice in chunk.get("choices") or ():
            if not choice.get("index"):
                events += self._choice(choice)
        return events

    def finish(self) -> list[JSON]:
        """The events of the end, once no chunk comes any more."""
        events = [] if self._started else self._start({})
        whole = response(self._assembly.body, self._asked) | {"output": self._output()}
        for item in whole["output"]:
            events += self._done(item)
        return [*events, {"type": f"response.{whole['status']}", "response": whole}]

    def fail(self, error: JSON) -> list[JSON]:
        """The events of an end that is none: what came stays, and is said to be incomplete."""
        events = [] if self._started else self._start({})
        said = error.get("error") or {}
        told = {"code": said.get("code") or "server_error", "message": said.get("message") or ""}
        failed = response(self._assembly.body, self._asked) | {"output": self._output()}
        failed |= {"status": "failed", "incomplete_details": None, "error": told}
        return [*events, {"type": "response.failed", "response": failed}]

    def _start(self, chunk: JSON) -> list[JSON]:
        self._started, self._name = True, serial(chunk)
        begun = head(chunk, self._asked)
        return [{"type": "response.created", "response": begun}, {"type": "response.in_progress", "response": begun}]

    def _choice(self, choice: JSON) -> list[JSON]:
        delta = choice.get("delta") or {}
        events = self._thoughts(delta)
        logprobs = {"logprobs": (choice.get("logprobs") or {}).get("content") or []}
        if delta.get("content"):
            events += self._words("output_text", {"delta": delta["content"], **logprobs})
        if delta.get("refusal"):
            events += self._words("refusal", {"delta": delta["refusal"]})
        for call in delta.get("tool_calls") or ():
            events += self._call(call)
        return events

    def _thoughts(self, delta: JSON) -> list[JSON]:
        if not delta.get("reasoning_content") and not delta.get("extra_content"):
            return []
        item_id, words = f"rs_{self._name}", delta.get("reasoning_content")
        events = self._open({"id": item_id, "type": "reasoning", "summary": []})
        where = self._where(item_id, summary_index=0)
        if words and "summary_text" not in self._parts:
            self._parts.append("summary_text")
            part = EMPTY["summary_text"]
            events.append({"type": "response.reasoning_summary_part.added", **where, "part": part})
        if words:
            events.append({"type": "response.reasoning_summary_text.delta", **where, "delta": words})
        return events

    def _words(self, kind: str, said: JSON) -> list[JSON]:
        item_id = f"msg_{self._name}"
        message = {"type": "message", "role": "assistant", "status": "in_progress", "content": []}
        events = self._open({"id": item_id, **message})
        if kind not in self._parts:
            self._parts.append(kind)
            where = self._where(item_id, content_index=self._spoken().index(kind))
            events.append({"type": "response.content_part.added", **where, "part": EMPTY[kind]})
        where = self._where(item_id, content_index=self._spoken().index(kind))
        return [*events, {"type": f"response.{kind}.delta", **where, **said}]

    def _call(self, part: JSON) -> list[JSON]:
        calls = self._assembly.body["choices"][0]["message"]["tool_calls"]
        place = next(at for at, call in enumerate(calls) if call["index"] == part.get("index", call["index"]))
        call, item_id = calls[place], f"fc_{self._name}_{place}"
        names = {"call_id": call["id"], "name": call["function"]["name"]}
        begun = {"type": "function_call", "status": "in_progress", **names, "arguments": ""}
        events = self._open({"id": item_id, **begun})
        if arguments := (part.get("function") or {}).get("arguments"):
            where = self._where(item_id)
            events.append({"type": "response.function_call_arguments.delta", **where, "delta": arguments})
        return events

    def _open(self, item: JSON) -> list[JSON]:
        if item["id"] in self._places:
            return []
        self._places[item["id"]] = len(self._places)
        return [{"type": "response.output_item.added", "output_index": self._places[item["id"]], "item": item}]

    def _where(self, item_id: str, **index: int) -> JSON:
        return {"item_id": item_id, "output_index": self._places[item_id], **index}

    def _spoken(self) -> list[str]:
        return [kind for kind in self._parts if kind != "summary_text"]

    def _output(self) -> list[JSON]:
        """The items in the order in which they came, and so the parts of the message."""
        items = sorted(output(self._assembly.body), key=lambda item: self._places[item["id"]])
        for item in items:
            if item["type"] == "message":
                item["content"].sort(key=lambda part: self._parts.index(part["type"]))
        return items

    def _done(self, item: JSON) -> list[JSON]:
        events: list[JSON] = []
        for index, part in enumerate(item.get("summary") or ()):
            where = self._where(item["id"], summary_index=index)
            events.append({"type": "response.reasoning_summary_text.done", **where, "text": part["text"]})
            events.append({"type": "response.reasoning_summary_part.done", **where, "part": part})
        for index, part in enumerate(item.get("content") or ()):
            where = self._where(item["id"], content_index=index)
            said = {name: part[name] for name in ("text", "refusal", "logprobs") if name in part}
            events.append({"type": f"response.{part['type']}.done", **where, **said})
            events.append({"type": "response.content_part.done", **where, "part": part})
        if item["type"] == "function_call":
            said = {name: item[name] for name in ("name", "arguments")}
            events.append({"type": "response.function_call_arguments.done", **self._where(item["id"]), **said})
        place = self._places[item["id"]]
        return [*events, {"type": "response.output_item.done", "output_index": place, "item": item}]
