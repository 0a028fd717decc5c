from __future__ import annotations

from schemas.events.parts import Header, ReplyTo
from streams.audit.shared_columns import RequesterColumns
from tests.factories import make_request


def test_requester_columns_have_a_value_for_each_request() -> None:
    requests = [make_request(tenant=tenant) for tenant in ("acme", "globex", "acme")]

    assert RequesterColumns().columns(requests)["tenant"] == ["acme", "globex", "acme"]


def test_requester_columns_are_computed_once_for_each_request_object() -> None:
    requesters, request = RequesterColumns(), make_request()

    first, second = (requesters.columns([request])["trace_id"] for _ in range(2))

    assert isinstance(first, list)
    assert isinstance(second, list)
    assert first[0] is second[0]


def test_binary_correlation_id_is_written_in_hexadecimal() -> None:
    reply_to = ReplyTo(topic="llm.replies.me", correlation=(Header(name="c", value=b"\xff\x00"),))

    assert RequesterColumns().columns([make_request(reply_to=reply_to)])["correlation_id"] == ["ff00"]
