"""Conversion of a recorded request and its answer to an example in OpenAI's fine-tuning format.

TRL, Axolotl, Together, Fireworks, Azure and Mistral read this format too. An example holds the messages that the
provider received, the answer as the last message, and the offered tools. A request that gives no valid example is
skipped with a reason, which the manifest counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

REASONS = {
    "body_expired": "the text is older than ClickHouse keeps it",
    "unreadable": "not the JSON of a chat completion",
    "truncated": "answer cut off at the token limit",
    "filtered": "answer cut by the provider's content filter",
    "unfinished": "finish reason is neither stop nor tool_calls",
    "declined": "the model refused to answer",
    "bad_role": "a message has an unknown role",
    "empty_message": "a message is empty",
    "not_a_turn": "no messages, or the last one is the assistant's",
    "tool_pairing": "a tool call has no result, a result no call, or a call's arguments are not JSON",
    "content_not_text": "a message holds more than text, which only JSONL supports",
    "duplicate": "duplicate of an earlier example",
}
"""Reasons for which a request is skipped, with their wording for people."""

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
_NAMES = ("name", "tool_call_id")
"""Fields of a message that are kept besides role, content and calls. Annotations, audio and similar are dropped."""
_FINISHED = frozenset({"stop", "tool_calls"})
_CUT = {"length": "truncated", "content_filter": "filtered"}

Message = dict[str, Any]
Example = dict[str, Any]


class UnusableExampleError(ValueError):
    """The request gives no training example; ``reason`` is a key of ``REASONS``."""

    def __init__(self, reason: str) -> None:
        super().__init__(REASONS[reason])
        self.reason = reason


def to_example(request_body: str, answer_body: str) -> Example:
    """Return the example of a chat request and its answer: ``messages``, and ``tools`` if the request offered any.

    Of several choices, the first is used: the one that a caller without ``n`` gets.

    Raises:
        UnusableExampleError: the request or its answer gives no valid example.

    """
    if not request_body or not answer_body:
        raise UnusableExampleError("body_expired")
    body, choice = _object(request_body), _first_choice(_object(answer_body))
    request_messages = _objects(body.get("messages"))
    if not request_messages or request_messages[-1].get("role") == "assistant":
        raise UnusableExampleError("not_a_turn")
    messages = [_message(message) for message in request_messages] + [_answer(choice)]
    _check_tools(messages)
    example: Example = {"messages": messages}
    if body.get("tools"):
        example["tools"] = body["tools"]
        if "parallel_tool_calls" in body:
            example["parallel_tool_calls"] = body["parallel_tool_calls"]
    return example


def _object(text: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise UnusableExampleError("unreadable") from None
    if not isinstance(value, dict):
        raise UnusableExampleError("unreadable")
    return value


def _objects(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise UnusableExampleError("unreadable")
    return value


def _first_choice(answer: Mapping[str, Any]) -> dict[str, Any]:
    choices = _objects(answer.get("choices"))
    if not choices:
        raise UnusableExampleError("unreadable")
    return choices[0]


def _answer(choice: Mapping[str, Any]) -> Message:
    message, finish = choice.get("message"), choice.get("finish_reason")
    if not isinstance(message, dict):
        raise UnusableExampleError("unreadable")
    if finish not in _FINISHED:
        raise UnusableExampleError(_CUT.get(str(finish), "unfinished"))
    if message.get("refusal"):
        raise UnusableExampleError("declined")
    return _message({**message, "role": "assistant"})


def _message(message: Mapping[str, Any]) -> Message:
    role, content, calls = message.get("role"), message.get("content"), message.get("tool_calls")
    if role not in _ROLES:
        raise UnusableExampleError("bad_role")
    if content is not None and not isinstance(content, str | list):
        raise UnusableExampleError("unreadable")
    text = content.strip() if isinstance(content, str) else content
    # the result of a tool may be empty
    if not text and not (role == "assistant" and calls) and role != "tool":
        raise UnusableExampleError("empty_message")
    kept: Message = {"role": role, "content": content}
    kept |= {name: message[name] for name in _NAMES if isinstance(message.get(name), str)}
    if calls:
        kept["tool_calls"] = [_call(call) for call in _objects(calls)]
    return kept


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if not isinstance(function, dict):
        raise UnusableExampleError("tool_pairing")
    number, name, arguments = call.get("id"), function.get("name"), function.get("arguments")
    if not (isinstance(number, str) and isinstance(name, str) and isinstance(arguments, str)):
        raise UnusableExampleError("tool_pairing")
    try:
        orjson.loads(arguments)
    except orjson.JSONDecodeError:
        raise UnusableExampleError("tool_pairing") from None
    return {"id": number, "type": "function", "function": {"name": name, "arguments": arguments}}


def _check_tools(messages: Sequence[Message]) -> None:
    """Check that each call, except the answer's, is followed by its result, and each result follows its call."""
    open_calls: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message.get("tool_call_id") not in open_calls:
                raise UnusableExampleError("tool_pairing")
            open_calls.discard(message["tool_call_id"])
        elif open_calls:
            raise UnusableExampleError("tool_pairing")
        calls = [call["id"] for call in message.get("tool_calls", ())]
        open_calls.update(calls)
        if len(open_calls) < len(calls):
            raise UnusableExampleError("tool_pairing")
