from __future__ import annotations

import pytest

from schemas.avro.codec import decode, encode
from schemas.avro.compiled.interning import MAX_ENTRY_BYTES
from schemas.events.catalog import RequestReceived
from schemas.events.parts import Header, ReplyTo, Request
from streams.audit import shared_columns as told
from tests.factories import make_request


def as_read(**fields: object) -> Request:
    event = decode(encode(RequestReceived(request=make_request(**fields), body=b"{}")))
    assert isinstance(event, RequestReceived)
    return event.request


def test_the_events_of_a_request_share_what_is_told_of_it() -> None:
    request = as_read(tenant="acme")

    assert told.requester_columns([request, request])["tenant"] == ["acme", "acme"]
    assert told.requester(request) is told.requester(request)


def test_of_a_large_request_nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "_cache", {})
    waits = ReplyTo(topic="llm.replies.me", correlation=(Header(name="c", value=b"\xff" * MAX_ENTRY_BYTES),))

    assert told.requester_columns([as_read(reply_to=waits)])["correlation_id"] == ["ff" * MAX_ENTRY_BYTES]
    assert not told._cache


def test_another_request_is_told_as_what_it_is_when_many_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "_cache", {})
    monkeypatch.setattr(told, "_MAX_CACHED", 2)

    assert [told.requester_columns([as_read(tenant=f"t{n}")])["tenant"] for n in range(5)] == [
        [f"t{n}"] for n in range(5)
    ]
    assert len(told._cache) <= 2
