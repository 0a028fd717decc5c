"""Translator of ``/v1/messages``: clients of Anthropic's API reach every provider.

Features that only Anthropic has (signed thinking blocks, cache control) are carried beside OpenAI's fields, and reach
Anthropic if it is the provider.
"""

from __future__ import annotations

import orjson

from schemas.events.parts import Failure
from streams.ingress.translators.anthropic.request import chat_body
from streams.ingress.translators.anthropic.response import message, refusal
from streams.ingress.translators.anthropic.stream import MessagesEventStream
from streams.ingress.translators.chat_request import translate_body
from streams.ingress.translators.parameter_names import rename_parameters
from streams.ingress.translators.translator import EventWriter, named_events

PARAMETER_NAMES = {
    "messages": "messages",
    "max_completion_tokens": "max_tokens",
    "reasoning_effort": "thinking",
    "response_format": "output_config.format",
    "stop": "stop_sequences",
    "user": "metadata.user_id",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "tools": "tools",
}
"""Parameter names of Messages, by the name in a chat completion request."""


class AnthropicTranslator:
    """Anthropic's Messages API."""

    def to_chat_request(self, body: bytes) -> bytes | Failure:
        """See ``ApiTranslator``."""
        return translate_body(body, chat_body)

    def from_completion(self, body: bytes, original_body: bytes) -> bytes:  # noqa: ARG002 - a message repeats no field of its request
        """See ``ApiTranslator``."""
        return orjson.dumps(message(orjson.loads(body)))

    def from_error(self, error: bytes) -> bytes:
        """See ``ApiTranslator``."""
        return orjson.dumps(refusal(rename_parameters(orjson.loads(error), PARAMETER_NAMES)))

    def event_writer(self, original_body: bytes) -> EventWriter:  # noqa: ARG002 - the same
        """See ``ApiTranslator``."""
        return MessageEvents()


class MessageEvents:
    """Writer of a Messages stream."""

    def __init__(self) -> None:
        self._events = MessagesEventStream()

    def event(self, number: int, chunk: bytes) -> bytes:
        """See ``EventWriter``."""
        return named_events(list(self._events.feed(orjson.loads(chunk))), number)

    def last(self, error: bytes | None) -> bytes:
        """See ``EventWriter``. A stream that fails has no ``message_stop``, so no client takes it for complete."""
        if error is not None:
            return named_events([refusal(rename_parameters(orjson.loads(error), PARAMETER_NAMES))])
        return named_events(list(self._events.finish()))
