"""Translation of Gemini's answers, whole or streamed: both have the same format.

Sources: Gemini API, "Generating content" (GenerateContentResponse, Candidate, FinishReason, UsageMetadata) and
"Thought signatures". Images and code in answers are not translated.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from typing import Any

import orjson

from connectors.providers.gemini.candidate import (
    finish_reason_of,
    read_delta,
    read_filter_results,
    read_logprobs,
    read_usage,
)
from connectors.providers.gemini.errors import read_stream_error
from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.wire.chunk_assembly import ChunkAssembler
from connectors.providers.wire.json_access import as_text, object_at, objects_of
from connectors.providers.wire.sse import SseReader
from connectors.providers.wire.usage import openai_usage
from schemas.events.parts import Usage
from schemas.json_types import JsonObject


class GeminiStreamDecoder:
    """Decoder of the responses of one call; see ``StreamDecoder``. The end is known by the finish reasons only."""

    def __init__(self, call: ProviderCall) -> None:
        self.finish_reasons: list[str] = []
        self.usage = Usage()
        self.native_usage: JsonObject | None = None
        self._events = SseReader()
        self._head: JsonObject = {}
        self._fallback_id, self._model = f"chatcmpl-{call.request_id}", call.model
        self._calls: dict[int, int] = {}
        """Number of tool calls of each choice."""
        self._open: dict[int, bool] = {}
        """State of each choice that started: True while it is incomplete."""

    def feed(self, data: bytes) -> Iterator[JsonObject]:
        """See ``StreamDecoder``."""
        for event in self._events.feed(data):
            yield from self._event(event.data)

    def finish(self) -> Iterator[JsonObject]:
        """See ``Decoder``."""
        for event in self._events.finish():
            yield from self._event(event.data)
        if not self._open or any(self._open.values()):
            raise ProviderError("server", "the stream broke off before its end", http_status=200)
        yield self.usage_chunk()

    def _event(self, data: str) -> list[JsonObject]:
        try:
            response = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise ProviderError("server", "the stream contains an event that is not JSON", http_status=200) from None
        return self.read(response)

    def read(self, response: object) -> list[JsonObject]:
        """Translate the next response.

        Raises:
            ProviderError: it is an error, or not a response.

        """
        if isinstance(response, list) and response:
            response = response[0]
        if not isinstance(response, dict):
            raise ProviderError("server", "HTTP 200, but the body is not a Gemini response", http_status=200)
        if response.get("error"):
            raise read_stream_error(response)
        self._read_head(response)
        candidates = objects_of(response.get("candidates"))
        chunks = [chunk for position, item in enumerate(candidates) for chunk in self._candidate(position, item)]
        blocked = object_at(response, "promptFeedback").get("blockReason")
        if isinstance(blocked, str) and not (candidates or self._open):
            chunks = self._blocked_answer(blocked, response["promptFeedback"])
        return chunks

    def usage_chunk(self) -> JsonObject:
        """Return the chunk with the usage, which follows all others."""
        return self._chunk() | {"usage": openai_usage(self.usage, "cached_tokens", "reasoning_tokens")}

    def _read_head(self, response: JsonObject) -> None:
        """Keep the id and model of the first response, and the usage of the last one."""
        if not self._head:
            self._head = {
                "id": as_text(response.get("responseId")) or self._fallback_id,
                "object": "chat.completion.chunk",
                "created": int(time.time()),
                "model": as_text(response.get("modelVersion")) or self._model,
            }
        usage = response.get("usageMetadata")
        if isinstance(usage, dict):
            self.native_usage, self.usage = usage, read_usage(usage)

    def _candidate(self, position: int, candidate: JsonObject) -> list[JsonObject]:
        index = candidate.get("index")
        index = index if type(index) is int and index >= 0 else position
        delta, calls = read_delta(candidate, self._calls.get(index, 0), self._call_id(index))
        self._calls[index] = self._calls.get(index, 0) + calls
        extra = read_logprobs(candidate)
        chunks = []
        if delta or extra or index not in self._open:
            chunks.append(self._chunk({"index": index, "delta": self._first_delta(index, delta), **extra}))
        reason = candidate.get("finishReason")
        if isinstance(reason, str) and reason:
            results = read_filter_results(candidate)
            chunks.append(
                self._last_chunk(index, reason, finish_reason_of(reason, called=self._calls[index] > 0), results)
            )
        return chunks

    def _blocked_answer(self, reason: str, feedback: JsonObject) -> list[JsonObject]:
        """Return an empty answer for a blocked prompt, as OpenAI's content filter does."""
        first = self._chunk({"index": 0, "delta": self._first_delta(0, {})})
        return [first, self._last_chunk(0, reason, "content_filter", read_filter_results(feedback))]

    def _first_delta(self, index: int, delta: JsonObject) -> JsonObject:
        if index in self._open:
            return delta
        self._open[index] = True
        return {"role": "assistant", **delta}

    def _last_chunk(self, index: int, native: str, reason: str, results: JsonObject) -> JsonObject:
        self._open[index] = False
        self.finish_reasons.append(native)
        return self._chunk(
            {"index": index, "delta": {}, "finish_reason": reason, "native_finish_reason": native, **results}
        )

    def _chunk(self, *choices: JsonObject) -> JsonObject:
        return {**self._head, "choices": [{"finish_reason": None, **choice} for choice in choices]}

    def _call_id(self, index: int) -> str:
        """Return the prefix of a choice's call ids: stable for an answer, and unique to it."""
        return "call_" + hashlib.sha256(f"{self._head['id']}/{index}".encode()).hexdigest()[:20]


def read_completion(call: ProviderCall, body: Any) -> ProviderAnswer:  # noqa: ANN401 - JSON of any shape
    """Translate a complete answer.

    Raises:
        ProviderError: server, if it contains no answer.

    """
    reader, assembly = GeminiStreamDecoder(call), ChunkAssembler()
    for chunk in reader.read(body):
        assembly.add(chunk)
    if not assembly.is_finished:
        raise ProviderError("server", "HTTP 200, but no candidate is complete", http_status=200)
    assembly.add(reader.usage_chunk())
    answer = assembly.body
    for tool_call in (item for choice in answer["choices"] for item in choice["message"].get("tool_calls", ())):
        del tool_call["index"]  # a complete answer's calls have no index
    return ProviderAnswer(
        body=answer,
        http_status=200,
        usage=reader.usage,
        response_id=answer["id"],
        response_model=answer["model"],
        finish_reasons=tuple(reader.finish_reasons),
        native_usage=reader.native_usage,
    )
