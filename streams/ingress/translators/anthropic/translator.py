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
from streams.ingress.translators.anthropic.stream import Events
from streams.ingress.translators.errors import UntranslatableError
from streams.ingress.translators.parameter_names import reworded
from streams.ingress.translators.translator import EventWriter, named_events

NAMES = {
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


class AnthropicFront:
    """Anthropic's Messages API."""

    def ask(self, body: bytes) -> bytes | Failure:
        """See ``Front``."""
        document = openai.parse(body)
        if isinstance(document, Failure):
            return document
        try:
            return orjson.dumps(chat_body(document))
        except UntranslatableError as fault:
            return invalid("invalid_value", fault.message, fault.param)

    def answer(self, body: bytes, asked: bytes) -> bytes:  # noqa: ARG002 - a message repeats nothing of its request
        """See ``Front``."""
        return orjson.dumps(message(orjson.loads(body)))

    def refusal(self, error: bytes) -> bytes:
        """See ``Front``."""
        return orjson.dumps(refusal(reworded(orjson.loads(error), NAMES)))

    def writer(self, asked: bytes) -> EventWriter:  # noqa: ARG002 - the same
        """See ``Front``."""
        return MessageEvents()


class MessageEvents:
    """A Messages stream on the wire."""

    def __init__(self) -> None:
        self._events = Events()

    def event(self, number: int, chunk: bytes) -> bytes:
        """See ``EventWriter``."""
        return named_events(list(self._events.feed(orjson.loads(chunk))), number)

    def last(self, error: bytes | None) -> bytes:
        """See ``EventWriter``. A stream that fails has no ``message_stop``, so that nobody takes it for whole."""
        if error is not None:
            return named_events([refusal(reworded(orjson.loads(error), NAMES))])
        return named_events(list(self._events.finish()))
