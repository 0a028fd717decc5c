from __future__ import annotations

import dataclasses
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events.catalog import RequestRouted
from schemas.events.request_id import named_request_id
from schemas.kafka.records import ProducerRecord
from streams.call.idempotency.fingerprint import fingerprint, fingerprint_of, with_fingerprint
from streams.call.request_body import parse_body, wants_usage
from streams.pipeline.stage import DeadLetterError
from tests.factories import chat, record, routed

ANY_TEXT = st.text(st.characters(codec="utf-8"))
NAMED = named_request_id("acme", "order-7")


def asking(body: str, request_id: str = NAMED, **more: Any) -> RequestRouted:
    return routed(body=body, request_id=request_id, **more)


def print_of(event: RequestRouted) -> str:
    return fingerprint(event, parse_body(event))


def test_the_same_question_has_the_same_fingerprint_however_it_is_written() -> None:
    one = asking('{"model": "demo", "messages": []}')
    other = asking('{"messages":[],"model":"demo"}')

    assert len(print_of(one)) == 16
    assert print_of(one) == print_of(other)


def test_how_the_answer_shall_come_is_no_part_of_the_question() -> None:
    streamed = asking(chat(stream=True, stream_options={"include_usage": True}))

    assert print_of(streamed) == print_of(asking(chat()))


@pytest.mark.parametrize(
    "other",
    [
        asking(chat(text="something else")),
        asking(chat(temperature=0)),
        asking(chat(), operation="embeddings"),
        asking(chat(), named_request_id("acme", "order-8")),
    ],
)
def test_another_question_or_the_same_under_another_name_has_another_fingerprint(other: RequestRouted) -> None:
    assert print_of(other) != print_of(asking(chat()))


@given(
    st.dictionaries(
        ANY_TEXT,
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | ANY_TEXT,
    )
)
def test_any_body_that_can_be_read_has_a_fingerprint(body: dict[str, Any]) -> None:
    assert len(print_of(asking(json.dumps(body)))) == 16


def test_a_body_too_deep_to_be_written_again_is_taken_as_it_is() -> None:
    deep = "[" * 500 + "]" * 500

    one, other = (asking(f'{{"messages": {deep}, "n": {number}}}') for number in (1, 2))

    assert print_of(one) != print_of(other)


def test_a_request_without_a_name_has_none() -> None:
    assert print_of(asking(chat(), str(uuid.uuid4()))) == ""


def test_what_was_asked_stands_on_the_record_of_the_answer() -> None:
    output = with_fingerprint(ProducerRecord("t", None, b""), "0123456789abcdef")

    assert fingerprint_of(dataclasses.replace(record(routed()), headers=output.headers)) == "0123456789abcdef"


def test_an_answer_that_nobody_can_ask_for_again_is_left_as_it_is() -> None:
    output = ProducerRecord("t", None, b"")

    assert with_fingerprint(output, "") is output
    assert fingerprint_of(record(routed())) == ""


@pytest.mark.parametrize("body", ["[]", "nothing", ""])
def test_a_body_that_is_no_json_object_is_a_dead_letter(body: str) -> None:
    with pytest.raises(DeadLetterError):
        parse_body(asking(body))


@pytest.mark.parametrize(
    ("body", "wanted"),
    [({}, False), ({"stream_options": {"include_usage": True}}, True), ({"stream_options": ["include_usage"]}, False)],
)
def test_the_usage_is_wanted_at_the_end_of_a_stream_if_that_is_asked(body: dict[str, Any], wanted: bool) -> None:
    assert wants_usage(body) is wanted
