from __future__ import annotations

import json
from typing import Any

import orjson

from schemas.events.parts import Failure
from schemas.openai import bodies as openai
from streams.ingress.translators.anthropic.translator import AnthropicTranslator
from streams.ingress.translators.translator import ApiTranslator, stream_cut

JSON = dict[str, Any]

FRONT: ApiTranslator = AnthropicTranslator()
ASKED: JSON = {"model": "alias", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


def events(wire: bytes) -> list[JSON]:
    """The events on the wire; each says its name twice."""
    read: list[JSON] = []
    for event in wire.decode().split("\n\n")[:-1]:
        name, data = (line for line in event.split("\n") if not line.startswith("id: "))
        read.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {read[-1]['type']}"
    return read


def test_messages_request_becomes_a_valid_chat_request() -> None:
    asked = FRONT.to_chat_request(orjson.dumps({**ASKED, "stream": True, "system": "Be brief."}))

    assert isinstance(asked, bytes)
    chat = orjson.loads(asked)
    assert openai.validation_failure("chat", {**chat, "stream": False}) is None
    assert chat == {
        "model": "alias",
        "max_completion_tokens": 100,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
    }


def test_missing_max_tokens_stays_missing() -> None:
    asked = FRONT.to_chat_request(orjson.dumps({name: value for name, value in ASKED.items() if name != "max_tokens"}))

    assert isinstance(asked, bytes)
    assert orjson.loads(asked).keys() == {"model", "messages"}


def test_untranslatable_parameter_is_refused_by_the_clients_name() -> None:
    body = orjson.dumps({**ASKED, "mcp_servers": []})

    asked = FRONT.to_chat_request(body)

    assert isinstance(asked, Failure)
    assert (asked.status, asked.param) == (400, "mcp_servers")


def test_invalid_json_is_refused() -> None:
    asked = FRONT.to_chat_request(b"{")

    assert isinstance(asked, Failure)
    assert asked.status == 400


def test_completion_becomes_a_message() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "ho"}, "finish_reason": "stop"}

    answered = FRONT.from_completion(orjson.dumps({"id": "x", "model": "m", "choices": [choice]}), b"")

    message = orjson.loads(answered)
    assert (message["id"], message["type"]) == ("msg_x", "message")
    assert message["content"] == [{"type": "text", "text": "ho"}]


def test_stream_has_named_events_and_a_stop() -> None:
    writer = FRONT.event_writer(b"")
    chunk = {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "ho"}}]}

    wire = writer.event(1, orjson.dumps(chunk)) + writer.last(None)

    assert [event["type"] for event in events(wire)] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_failed_stream_ends_with_an_error_and_without_message_stop() -> None:
    writer = FRONT.event_writer(b"")
    chunk = {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "ho"}}]}

    wire = writer.event(1, orjson.dumps(chunk)) + writer.last(stream_cut("too slow"))

    types = [event["type"] for event in events(wire)]
    assert types[-1] == "error"
    assert "message_stop" not in types
    assert events(wire)[-1]["error"]["type"] == "timeout_error"


def test_error_becomes_anthropics_error_object() -> None:
    error = openai.error_body(
        Failure(status=429, type="rate_limit_error", code="rate_limit_exceeded", message="Slow down.")
    )

    refused = orjson.loads(FRONT.from_error(error))

    assert refused == {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down."}}
