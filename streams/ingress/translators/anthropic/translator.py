"""``/v1/messages``: Anthropic's API in front, so that its clients reach any provider.

What only Anthropic understands (signed thoughts, marks of what may be cached) goes through the log beside OpenAI's own
words, and reaches Anthropic where it stands behind.
"""

from __future__ import annotations

import orjson

from schemas.events.parts import Failure
from schemas.openai import bodies as openai
from schemas.openai.errors import invalid
from streams.ingress.translators.anthropic.request import chat_body
from streams.ingress.translators.anthropic.response import message, refusal
from streams.ingress.translators.anthropic.stream import MessagesEventStream
from streams.ingress.translators.errors import UntranslatableError
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
"""What a message's parameter is called, by the chat's name."""


class AnthropicTranslator:
    """Anthropic's Messages API."""

    def to_chat_request(self, body: bytes) -> bytes | Failure:
        """See ``ApiTranslator``."""
        document = openai.parse_body(body)
        if isinstance(document, Failure):
            return document
        try:
            return orjson.dumps(chat_body(document))
        except UntranslatableError as fault:
            return invalid("invalid_value", fault.message, fault.param)

    def from_completion(self, body: bytes, asked: bytes) -> bytes:  # noqa: ARG002 - a message repeats nothing of its request
        """See ``ApiTranslator``."""
        return orjson.dumps(message(orjson.loads(body)))

    def from_error(self, error: bytes) -> bytes:
        """See ``ApiTranslator``."""
        return orjson.dumps(refusal(rename_parameters(orjson.loads(error), PARAMETER_NAMES)))

    def event_writer(self, asked: bytes) -> EventWriter:  # noqa: ARG002 - the same
        """See ``ApiTranslator``."""
        return MessageEvents()


class MessageEvents:
    """A Messages stream on the wire."""

    def __init__(self) -> None:
        self._events = MessagesEventStream()

    def event(self, number: int, chunk: bytes) -> bytes:
        """See ``EventWriter``."""
        return named_events(list(self._events.feed(orjson.loads(chunk))), number)

    def last(self, error: bytes | None) -> bytes:
        """See ``EventWriter``. A stream that fails has no ``message_stop``, so that nobody takes it for whole."""
        if error is not None:
            return named_events([refusal(rename_parameters(orjson.loads(error), PARAMETER_NAMES))])
        return named_events(list(self._events.finish()))
