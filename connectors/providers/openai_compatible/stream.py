"""Decoder of OpenAI's streams (``data: {chunk}``, then ``data: [DONE]``) and of servers that differ from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from connectors.providers.openai_compatible.response import ChoiceReader, UnchangedChoice, read_usage
from connectors.providers.provider import ProviderError
from connectors.providers.wire.errors import parse_error
from connectors.providers.wire.json_access import parse_event
from connectors.providers.wire.sse import ServerSentEvent, SseReader
from schemas.events.parts import Usage
from schemas.json_types import JsonObject

STATUS: dict[str, int] = {
    "invalid_request_error": 400,
    "BadRequestError": 400,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "validation": 422,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "rate_limited": 429,
    "insufficient_quota": 429,
    "overloaded": 503,
    "server_is_overloaded": 503,
}
"""HTTP status that corresponds to an error in a stream, by its type or code; 500 for others."""


class ChunkStreamDecoder:
    """Decoder of one stream; see ``StreamDecoder``."""

    def __init__(self, choices: type[ChoiceReader] = UnchangedChoice) -> None:
        self.finish_reasons: list[str] = []
        self.usage = Usage()
        self.native_usage: JsonObject | None = None
        self._events = SseReader()
        self._choices: dict[int, ChoiceReader] = defaultdict(choices)
        self._open: set[int] = set()
        self._head: JsonObject = {}
        self._is_done = False
        self._sent_usage = False

    def feed(self, data: bytes) -> Iterator[JsonObject]:
        """See ``StreamDecoder``."""
        yield from self._chunks(self._events.feed(data))

    def finish(self) -> Iterator[JsonObject]:
        """See ``StreamDecoder``. A stream ends with [DONE], or without it when every choice has a finish reason."""
        yield from self._chunks(self._events.finish())
        if self._open or not (self._is_done or self.finish_reasons):
            raise ProviderError("server", "the stream broke off before its end", http_status=200)
        if self.native_usage is not None and not self._sent_usage:
            yield {**self._head, "choices": [], "usage": self.native_usage}

    def _chunks(self, events: Iterable[ServerSentEvent]) -> Iterator[JsonObject]:
        return (chunk for event in events if (chunk := self._read(event.data)) is not None)

    def _read(self, data: str) -> JsonObject | None:
        if data.strip() == "[DONE]":
            self._is_done = True
            return None
        chunk = parse_event(data)
        if chunk.get("error"):
            raise read_stream_error(chunk)
        return self.read_chunk(chunk)

    def read_chunk(self, chunk: JsonObject) -> JsonObject | None:
        """Read one chunk; None if it is held back.

        Raises:
            ProviderError: server, if it is not a chunk.

        """
        chunk.pop("obfuscation", None)  # padding against guessing tokens by their length
        choices = chunk.setdefault("choices", []) or []
        if not _is_list_of_objects(choices):
            raise _not_a_chunk()
        self._read_usage(chunk, alone=not choices)
        for choice in choices:
            self._read_choice(choice)
        self._head = self._head or {
            name: chunk[name] for name in ("id", "object", "created", "model") if chunk.get(name) is not None
        }
        return {**chunk, "id": self._head.get("id", "")}

    def _read_usage(self, chunk: JsonObject, *, alone: bool) -> None:
        """Remove the usage from a chunk with choices: it is sent once, in a chunk of its own at the end."""
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self.native_usage, self.usage = usage, read_usage(usage)
            self._sent_usage = alone
        if not alone:
            chunk.pop("usage", None)

    def _read_choice(self, choice: JsonObject) -> None:
        index, reason = choice.setdefault("index", 0), choice.get("finish_reason")
        delta = choice.get("delta")
        if delta is None:  # a later result of Azure's filter
            delta = choice["delta"] = {}
        if not isinstance(index, int) or not _is_delta(delta):
            raise _not_a_chunk()
        if isinstance(reason, str):
            self.finish_reasons.append(reason)
            self._open.discard(index)
        elif index not in self._choices:
            self._open.add(index)
        self._choices[index].read(choice, delta)
        for position, call in enumerate(delta.get("tool_calls") or ()):
            call.setdefault("index", position)


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _is_delta(delta: object) -> bool:
    """Return True if a delta has the types that assembly needs."""
    if not isinstance(delta, dict):
        return False
    calls = delta.get("tool_calls") or []
    return _is_list_of_objects(calls) and all(_is_call(call) for call in calls)


def _is_call(call: JsonObject) -> bool:
    function = call.get("function") or {}
    texts = [function.get("name"), function.get("arguments")] if isinstance(function, dict) else [0]
    return isinstance(call.get("index", 0), int) and all(text is None or isinstance(text, str | dict) for text in texts)


def _not_a_chunk() -> ProviderError:
    return ProviderError("server", "the stream contains an event that is not a chunk", http_status=200)


def read_stream_error(chunk: JsonObject) -> ProviderError:
    """Classify an error in a stream, after its status 200."""
    details = chunk["error"] if isinstance(chunk.get("error"), dict) else chunk
    names = [details.get(name) for name in ("code", "type", "error_type")]
    status = next((code for name in names if (code := _status(name))), 500)
    error = parse_error(status, {}, orjson.dumps(chunk))
    error.http_status = 200
    return error


def _status(name: Any) -> int:  # noqa: ANN401 - JSON of any shape
    if isinstance(name, str):
        return STATUS.get(name, int(name) if name.isdecimal() and len(name) == 3 else 0)  # noqa: PLR2004 - HTTP's
    return name if isinstance(name, int) and 400 <= name < 600 else 0  # noqa: PLR2004 - HTTP's error range
