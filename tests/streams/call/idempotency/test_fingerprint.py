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
from streams.call.request_body import parse_body
from tests.factories import chat, record, routed

ANY_TEXT = st.text(st.characters(codec="utf-8"))
NAMED = named_request_id("acme", "order-7")


def make_routed(body: str, request_id: str = NAMED, **more: Any) -> RequestRouted:
    return routed(body=body, request_id=request_id, **more)


def print_of(event: RequestRouted) -> str:
    return fingerprint(event, parse_body(event))


def test_fingerprint_ignores_white_space_and_order() -> None:
    first = make_routed('{"model": "demo", "messages": []}')
    other = make_routed('{"messages":[],"model":"demo"}')

    assert len(print_of(first)) == 16
    assert print_of(first) == print_of(other)


def test_fingerprint_ignores_the_stream_options() -> None:
    streamed = make_routed(chat(stream=True, stream_options={"include_usage": True}))

    assert print_of(streamed) == print_of(make_routed(chat()))


@pytest.mark.parametrize(
    "other",
    [
        make_routed(chat(text="something else")),
        make_routed(chat(temperature=0)),
        make_routed(chat(), operation="embeddings"),
        make_routed(chat(), named_request_id("acme", "order-8")),
    ],
)
def test_fingerprint_differs_for_another_body_operation_or_name(other: RequestRouted) -> None:
    assert print_of(other) != print_of(make_routed(chat()))


@given(
    st.dictionaries(
        ANY_TEXT,
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | ANY_TEXT,
    )
)
def test_every_parsed_body_has_a_fingerprint(body: dict[str, Any]) -> None:
    assert len(print_of(make_routed(json.dumps(body)))) == 16


def test_body_nested_too_deep_to_serialize_is_hashed_as_text() -> None:
    deep = "[" * 500 + "]" * 500

    first, other = (make_routed(f'{{"messages": {deep}, "n": {number}}}') for number in (1, 2))

    assert print_of(first) != print_of(other)


def test_unnamed_request_has_no_fingerprint() -> None:
    assert print_of(make_routed(chat(), str(uuid.uuid4()))) == ""


def test_fingerprint_is_read_back_from_the_headers() -> None:
    output = with_fingerprint(ProducerRecord("t", None, b""), "0123456789abcdef")

    assert fingerprint_of(dataclasses.replace(record(routed()), headers=output.headers)) == "0123456789abcdef"


def test_record_without_a_fingerprint_is_unchanged() -> None:
    output = ProducerRecord("t", None, b"")

    assert with_fingerprint(output, "") is output
    assert fingerprint_of(record(routed())) == ""
