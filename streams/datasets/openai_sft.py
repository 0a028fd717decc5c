"""A recorded request and its answer as one supervised example, in OpenAI's fine-tuning shape.

The shape is read far beyond OpenAI: by TRL, Axolotl, Together, Fireworks, Azure and Mistral. An example holds the
messages as the provider saw them, the answer as the last of them, and the tools that were on offer. Only what makes a
sound example passes: the rest is named by a reason, so that a manifest can count it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

REASONS = {
    "body_expired": "its text is past the time that ClickHouse keeps it",
    "unreadable": "its request or answer is not the JSON of a chat completion",
    "truncated": "the answer was cut off at the token limit",
    "filtered": "the provider's content filter cut the answer",
    "unfinished": "the answer ended in some other way than stop or tool_calls",
    "declined": "the model declined to answer",
    "bad_role": "a message has a role that no trainer knows",
    "empty_message": "a message says nothing",
    "not_a_turn": "the request has no messages, or ends with the assistant's own",
    "tool_pairing": "a tool call has no result, a result no call, or a call's arguments are not JSON",
    "content_not_text": "a message holds more than text, which only JSONL can carry",
    "duplicate": "the same example came before",
}
"""Why a request is left out, for people."""

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
_NAMES = ("name", "tool_call_id")
"""What a trainer reads of a message beside its role, content and calls. Annotations, audio and the like are left."""
_FINISHED = frozenset({"stop", "tool_calls"})
_CUT = {"length": "truncated", "content_filter": "filtered"}

Message = dict[str, Any]
Example = dict[str, Any]


class UnusableExampleError(ValueError):
    """Raised for a request that makes no training example; ``reason`` is one of ``REASONS``."""

    def __init__(self, reason: str) -> None:
        super().__init__(REASONS[reason])
        self.reason = reason


def to_example(request_body: str, answer_body: str) -> Example:
    """The example that a chat body and its answer make: ``messages``, and ``tools`` if any were on offer.

    Of several choices the first is taken, which is the one that a caller without ``n`` would have got.

    Raises:
        UnfitError: it is not one to learn from.

    """
    if not request_body or not answer_body:
        raise UnusableExampleError("body_expired")
    body, choice = _object(request_body), _first_choice(_object(answer_body))
    asked = _objects(body.get("messages"))
    if not asked or asked[-1].get("role") == "assistant":
        raise UnusableExampleError("not_a_turn")
    messages = [_message(message) for message in asked] + [_answer(choice)]
    _check_tools(messages)
    made: Example = {"messages": messages}
    if body.get("tools"):
        made["tools"] = body["tools"]
        if "parallel_tool_calls" in body:
            made["parallel_tool_calls"] = body["parallel_tool_calls"]
    return made


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
    said = content.strip() if isinstance(content, str) else content
    # a tool may well return nothing
    if not said and not (role == "assistant" and calls) and role != "tool":
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
    """Every call but the answer's own is followed by its result, and every result follows its call."""
    waiting: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                raise UnusableExampleError("tool_pairing")
            waiting.discard(message["tool_call_id"])
        elif waiting:
            raise UnusableExampleError("tool_pairing")
        calls = [call["id"] for call in message.get("tool_calls", ())]
        waiting.update(calls)
        if len(waiting) < len(calls):
            raise UnusableExampleError("tool_pairing")
