from __future__ import annotations

from typing import Any

import orjson
import pytest

from streams.ingress.translators.anthropic.translator import AnthropicTranslator
from streams.ingress.translators.parameter_names import rename_parameters
from streams.ingress.translators.responses.translator import ResponsesTranslator
from streams.ingress.translators.translator import ApiTranslator

NAMES = {"messages": "input", "stop": "stop_sequences", "tools": "tools"}


def told(param: str | None, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": "c"}}


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        ("stop", "stop_sequences"),
        ("messages", "input"),
        ("messages[3].content[0].image_url", "input[].content[0].image_url"),
        ("tools[1].function.name", "tools[1].name"),
        ("temperature", "temperature"),
        ("messages.0.content", "input.0.content"),
    ],
)
def test_error_names_the_parameter_of_the_clients_api(param: str, expected: str) -> None:
    error = rename_parameters(told(param, f"{param} is wrong"), NAMES)["error"]

    assert (error["param"], error["message"]) == (expected, f"{expected} is wrong")


@pytest.mark.parametrize("error", [told(None, "stop it"), {"error": None}, {}, told("", "x")])
def test_error_without_parameter_is_unchanged(error: dict[str, Any]) -> None:
    assert rename_parameters(error, NAMES) == error


@pytest.mark.parametrize(
    ("front", "name"), [(ResponsesTranslator(), "max_output_tokens"), (AnthropicTranslator(), "max_tokens")]
)
def test_each_api_has_its_own_name_for_max_completion_tokens(front: ApiTranslator, name: str) -> None:
    error = orjson.dumps(told("max_completion_tokens", "max_completion_tokens must be at most 9"))

    whole, streamed = front.from_error(error), front.event_writer(b"{}").last(error)

    assert f"{name} must be at most 9".encode() in whole
    assert f"{name} must be at most 9".encode() in streamed
    assert b"completion_tokens" not in whole
