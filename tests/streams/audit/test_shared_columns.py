from __future__ import annotations

import pytest

from schemas.avro.codec import decode, encode
from schemas.avro.compiled.interning import LARGEST
from schemas.events.catalog import RequestReceived
from schemas.events.parts import Header, ReplyTo, Request
from streams.audit import shared_columns as told
from tests.making import make_request


def as_read(**fields: object) -> Request:
    event = decode(encode(RequestReceived(request=make_request(**fields), body=b"{}")))
    assert isinstance(event, RequestReceived)
    return event.request


def test_the_events_of_a_request_share_what_is_told_of_it() -> None:
    request = as_read(tenant="acme")

    assert told.asked([request, request])["tenant"] == ["acme", "acme"]
    assert told.who(request) is told.who(request)


def test_of_a_large_request_nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "_told", {})
    waits = ReplyTo(topic="llm.replies.me", correlation=(Header(name="c", value=b"\xff" * LARGEST),))

    assert told.asked([as_read(reply_to=waits)])["correlation_id"] == ["ff" * LARGEST]
    assert not told._told


def test_another_request_is_told_as_what_it_is_when_many_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "_told", {})
    monkeypatch.setattr(told, "_MOST", 2)

    assert [told.asked([as_read(tenant=f"t{n}")])["tenant"] for n in range(5)] == [[f"t{n}"] for n in range(5)]
    assert len(told._told) <= 2
