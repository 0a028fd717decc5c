"""Answers in OpenAI's format, and the differences of servers from it."""

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
"""The list that an answer must contain."""


class ChoiceReader:
    """Reader of one choice, whole or in deltas. Each choice has its own."""

    finish_reasons: ClassVar[Mapping[str, str]] = {}
    """OpenAI's finish reason for each of the server's own."""

    def __init__(self) -> None:
        self._tags = ThinkTags()
        self._has_tool_calls = False

    def read(self, choice: JsonObject, part: JsonObject) -> None:
        """Read a choice with its message or delta, in place. A choice with a finish_reason is complete."""
        self.read_message(part)
        reason = choice.get("finish_reason")
        self._split_reasoning(part, last=isinstance(reason, str))
        for call in _calls(part):
            self._has_tool_calls = True
            _complete_call(call)
        if isinstance(reason, str):
            finish_reason = (
                "tool_calls" if self._has_tool_calls and self.finish_reasons.get(reason, reason) == "stop" else reason
            )
            choice["finish_reason"] = self.finish_reasons.get(finish_reason, finish_reason)
            if choice["finish_reason"] != reason:
                choice["native_finish_reason"] = reason

    def read_message(self, part: JsonObject) -> None:
        """Read the reasoning where newer vLLM and Ollama put it; kinds with other formats override it."""
        reasoning = part.pop("reasoning", None)
        if isinstance(reasoning, str) and not part.get("reasoning_content"):
            part["reasoning_content"] = reasoning

    def _split_reasoning(self, part: JsonObject, *, last: bool) -> None:
        content = part.get("content")
        if not isinstance(content, str) and not (last and self._tags.pending):
            return
        reasoning, text = self._tags.feed(content if isinstance(content, str) else "", last=last)
        part["content"] = text
        if reasoning:
            part["reasoning_content"] = as_text(part.get("reasoning_content")) + reasoning


class UnchangedChoice(ChoiceReader):
    """Reader that leaves OpenAI's own choices unchanged."""

    def read(self, choice: JsonObject, part: JsonObject) -> None:
        """Do nothing."""


def _calls(part: JsonObject) -> list[JsonObject]:
    calls = part.get("tool_calls")
    return objects_of(calls)


def _complete_call(call: JsonObject) -> None:
    """Serialize arguments that are an object, and add a missing type."""
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
    """Read an answer in OpenAI's format.

    Raises:
        ProviderError: server, if the response with status 200 contains no answer.

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
    """Read OpenAI's usage object; an invalid count is zero. Some servers have cached_tokens at the top level."""
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
