"""Assembly of a chat's stream chunks into one completion, and the split of a completion into chunks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from schemas.json_types import JsonObject

COMPLETION_FIELDS = ("id", "created", "model", "system_fingerprint", "service_tier", "prompt_filter_results")
"""Members of a completion other than choices and usage; the last one is Azure's."""


class ChunkAssembler:
    """Assembler of OpenAI's chunks, in order; ``body`` is the completion."""

    def __init__(self) -> None:
        self._head: JsonObject = {}
        self._choices: dict[int, JsonObject] = {}
        self._usage: JsonObject | None = None

    def add(self, chunk: JsonObject) -> None:
        """Add one chunk. Its choices may be empty, as in the chunk with the usage."""
        for name in COMPLETION_FIELDS:
            if chunk.get(name) is not None:
                self._head.setdefault(name, chunk[name])
        if isinstance(chunk.get("usage"), dict):
            self._usage = chunk["usage"]
        for choice in chunk.get("choices") or ():
            self._add_choice(choice)

    def _add_choice(self, part: JsonObject) -> None:
        index = part.get("index") or 0
        choice = self._choices.setdefault(
            index, {"index": index, "message": {"role": "assistant", "content": None}, "finish_reason": None}
        )
        for name, value in (part.get("delta") or {}).items():
            if name == "tool_calls":
                for call in value or ():
                    _add_call(choice["message"].setdefault("tool_calls", []), call)
            elif name == "role":
                choice["message"]["role"] = value or "assistant"
            elif isinstance(value, str):
                known = choice["message"].get(name)
                choice["message"][name] = known + value if isinstance(known, str) else value
            elif value is not None:
                choice["message"][name] = value
        if part.get("finish_reason"):
            choice["finish_reason"] = part["finish_reason"]
        for name in ("logprobs", "content_filter_results", "native_finish_reason"):
            if part.get(name) is not None:
                _merge(choice, name, part[name])

    @property
    def is_finished(self) -> bool:
        """True if every choice has a finish reason."""
        return bool(self._choices) and all(choice["finish_reason"] for choice in self._choices.values())

    @property
    def body(self) -> JsonObject:
        """The completion, as far as its chunks have arrived."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        usage = {"usage": self._usage} if self._usage is not None else {}
        return {**self._head, "object": "chat.completion", "choices": choices, **usage}


def _add_call(calls: list[JsonObject], part: JsonObject) -> None:
    index = part.get("index", len(calls))
    call = next((call for call in calls if call["index"] == index), None)
    if call is None:
        call = {"index": index, "id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        calls.append(call)
    call["id"] = part.get("id") or call["id"]
    if part.get("extra_content"):
        call["extra_content"] = part["extra_content"]
    function = part.get("function") or {}
    call["function"]["name"] += function.get("name") or ""
    call["function"]["arguments"] += function.get("arguments") or ""


def _merge(choice: JsonObject, name: str, value: object) -> None:
    """Append log probabilities; replace filter results, because later ones include the earlier ones."""
    known = choice.get(name)
    if name == "logprobs" and isinstance(known, dict) and isinstance(value, dict):
        for key, tokens in value.items():
            if isinstance(tokens, list):
                known[key] = (known.get(key) or []) + tokens
    else:
        choice[name] = dict(value) if isinstance(value, dict) else value  # a copy: the chunk must not change


def split_into_chunks(body: JsonObject) -> Iterator[JsonObject]:
    """Split a completion into chunks, one per word; the last chunk contains only the usage."""
    head: JsonObject = {"object": "chat.completion.chunk"}
    head |= {name: body[name] for name in ("id", "created", "model", "system_fingerprint") if name in body}
    for choice in body.get("choices") or ():
        index, message = choice.get("index", 0), choice.get("message") or {}
        yield {**head, "choices": [_choice(index, {"role": "assistant", "content": ""})]}
        for name in ("reasoning_content", "content", "refusal"):
            for piece in re.findall(r"\S+\s*|\s+", message.get(name) or ""):
                yield {**head, "choices": [_choice(index, {name: piece})]}
        calls = [{"index": number, **call} for number, call in enumerate(message.get("tool_calls") or ())]
        if calls:
            yield {**head, "choices": [_choice(index, {"tool_calls": calls})]}
        yield {**head, "choices": [_choice(index, {}, choice.get("finish_reason"))]}
    if body.get("usage") is not None:
        yield {**head, "choices": [], "usage": body["usage"]}


def _choice(index: int, delta: JsonObject, finish_reason: str | None = None) -> JsonObject:
    return {"index": index, "delta": delta, "finish_reason": finish_reason}
