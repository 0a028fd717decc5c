"""Answers in OpenAI's shape, and the words in which servers differ from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import orjson

from connectors.http_client import Response
from connectors.providers.provider import ProviderAnswer, ProviderError
from connectors.providers.wire.errors import parse_error
from connectors.providers.wire.json_access import as_text, objects_of
from connectors.providers.wire.think_tags import ThinkTags
from connectors.providers.wire.usage import token_count
from schemas.events.parts import Usage
from schemas.events.vocabulary import Operation
from schemas.json_types import JsonObject

REQUIRED_LIST: dict[Operation, str] = {"chat": "choices", "embeddings": "data"}
"""The list that an answer must hold."""


class ChoiceReader:
    """Reads one choice of an answer, whole or in deltas, into OpenAI's words: one for each choice."""

    finish_reasons: ClassVar[Mapping[str, str]] = {}
    """Why it ended, in OpenAI's words, where the server has its own."""

    def __init__(self) -> None:
        self._tags = ThinkTags()
        self._has_tool_calls = False

    def read(self, choice: JsonObject, part: JsonObject) -> None:
        """Read a choice with its message or delta, in place. One with a finish_reason is the choice's last."""
        self.read_message(part)
        reason = choice.get("finish_reason")
        self._split_reasoning(part, last=isinstance(reason, str))
        for call in _calls(part):
            self._has_tool_calls = True
            _complete_call(call)
        if isinstance(reason, str):
            said = (
                "tool_calls" if self._has_tool_calls and self.finish_reasons.get(reason, reason) == "stop" else reason
            )
            choice["finish_reason"] = self.finish_reasons.get(said, said)
            if choice["finish_reason"] != reason:
                choice["native_finish_reason"] = reason

    def read_message(self, part: JsonObject) -> None:
        """Find the reasoning where newer vLLM and Ollama put it; kinds with places of their own say more."""
        reasoning = part.pop("reasoning", None)
        if isinstance(reasoning, str) and not part.get("reasoning_content"):
            part["reasoning_content"] = reasoning

    def _split_reasoning(self, part: JsonObject, *, last: bool) -> None:
        text = part.get("content")
        if not isinstance(text, str) and not (last and self._tags.pending):
            return
        reasoning, said = self._tags.feed(text if isinstance(text, str) else "", last=last)
        part["content"] = said
        if reasoning:
            part["reasoning_content"] = as_text(part.get("reasoning_content")) + reasoning


class UnchangedChoice(ChoiceReader):
    """OpenAI's own choices need no reading."""

    def read(self, choice: JsonObject, part: JsonObject) -> None:
        """Leave it as it is."""


def _calls(part: JsonObject) -> list[JsonObject]:
    calls = part.get("tool_calls")
    return objects_of(calls)


def _complete_call(call: JsonObject) -> None:
    """Some servers give the arguments as an object, and leave out the type."""
    function = call.get("function")
    if isinstance(function, dict) and isinstance(function.get("arguments"), dict):
        function["arguments"] = orjson.dumps(function["arguments"]).decode()
    if call.get("id"):
        call.setdefault("type", "function")


def read_answer(
    operation: Operation,
    body: Any,  # noqa: ANN401 - JSON of any shape
    response: Response,
    choices: type[ChoiceReader] = UnchangedChoice,
) -> ProviderAnswer:
    """Read an answer in OpenAI's shape.

    Raises:
        ProviderError: the 200 holds no answer.

    """
    if not isinstance(body, dict) or not isinstance(body.get(REQUIRED_LIST[operation]), list):
        reason = parse_error(200, {}, response.content).message if isinstance(body, dict) and "error" in body else ""
        raise ProviderError(
            "server", f"HTTP 200, but the body has no {REQUIRED_LIST[operation]} {reason}".rstrip(), http_status=200
        )
    reasons = _finish_reasons(body) if operation == "chat" else ()
    for choice in body["choices"] if operation == "chat" else ():
        if isinstance(choice, dict) and isinstance(choice.get("message"), dict):
            choices().read(choice, choice["message"])
    usage = body.get("usage")
    return ProviderAnswer(
        body=body,
        http_status=200,
        usage=read_usage(usage),
        response_id=as_text(body.get("id")),
        response_model=as_text(body.get("model")),
        finish_reasons=reasons,
        native_usage=usage if isinstance(usage, dict) else None,
    )


def read_usage(usage: object) -> Usage:
    """Read OpenAI's usage object; what is missing or no count is zero. Cached tokens stand flat at some servers."""
    if not isinstance(usage, dict):
        return Usage()
    return Usage(
        input_tokens=token_count(usage, "prompt_tokens"),
        output_tokens=token_count(usage, "completion_tokens"),
        cache_read_input_tokens=token_count(usage.get("prompt_tokens_details"), "cached_tokens")
        or token_count(usage, "cached_tokens"),
        reasoning_output_tokens=token_count(usage.get("completion_tokens_details"), "reasoning_tokens"),
    )


def _finish_reasons(body: JsonObject) -> tuple[str, ...]:
    reasons = (choice.get("finish_reason") for choice in body["choices"] if isinstance(choice, dict))
    return tuple(reason for reason in reasons if isinstance(reason, str))
