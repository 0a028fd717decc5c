from __future__ import annotations

import json
from typing import Any

import orjson

from schemas.events.parts import Failure
from schemas.openai.bodies import error_body
from streams.ingress.translators.responses.translator import ResponsesTranslator
from streams.ingress.translators.translator import ApiTranslator

JSON = dict[str, Any]

FRONT: ApiTranslator = ResponsesTranslator()
ASKED = orjson.dumps({"model": "alias", "input": "hi", "instructions": "Be brief."})
CHUNK = orjson.dumps({"id": "x", "model": "m", "choices": [{"index": 0, "delta": {"content": "ho"}}]})


def events(wire: bytes) -> list[JSON]:
    """The events on the wire; each says its name twice."""
    read: list[JSON] = []
    for event in wire.decode().split("\n\n")[:-1]:
        name, data = (line for line in event.split("\n") if not line.startswith("id: "))
        read.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {read[-1]['type']}"
    return read


def test_responses_request_becomes_a_chat_request() -> None:
    asked = FRONT.to_chat_request(ASKED)

    assert isinstance(asked, bytes)
    assert [message["role"] for message in orjson.loads(asked)["messages"]] == ["system", "user"]


def test_stateful_parameter_is_refused_by_name() -> None:
    asked = FRONT.to_chat_request(orjson.dumps({"model": "alias", "input": "hi", "previous_response_id": "resp_1"}))

    assert isinstance(asked, Failure)
    assert (asked.status, asked.param) == (400, "previous_response_id")


def test_invalid_json_is_refused() -> None:
    asked = FRONT.to_chat_request(b"{")

    assert isinstance(asked, Failure)
    assert asked.code == "invalid_json"


def test_completion_becomes_a_response_with_the_request_parameters() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "ho"}, "finish_reason": "stop"}

    answered = FRONT.from_completion(orjson.dumps({"id": "x", "model": "m", "choices": [choice]}), ASKED)

    made = orjson.loads(answered)
    assert (made["object"], made["instructions"]) == ("response", "Be brief.")


def test_stream_events_have_consecutive_sequence_numbers() -> None:
    writer = FRONT.event_writer(ASKED)

    wire = writer.event(0, CHUNK) + writer.event(1, CHUNK) + writer.last(None)

    read = events(wire)
    assert [event["sequence_number"] for event in read] == list(range(len(read)))
    assert read[-1]["type"] == "response.completed"


def test_failed_stream_ends_with_response_failed() -> None:
    writer = FRONT.event_writer(ASKED)
    writer.event(0, CHUNK)

    wire = writer.last(error_body(Failure(status=502, type="server_error", code="server", message="It broke off.")))

    assert [event["type"] for event in events(wire)] == ["response.failed"]


def test_error_is_openais_error_object() -> None:
    error = error_body(Failure(status=429, type="rate_limit_error", code="rate_limit_exceeded", message="Slow down."))

    assert FRONT.from_error(error) == error
