from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from schemas.events.catalog import RequestSettled
from schemas.events.parts import Header, ReplyTo
from streams.reply.deduplication import ReplyDeduplicator, reply_key
from tests.factories import make_request

REPLY_TO = ReplyTo(topic="llm.replies.shop", partition=5, key=b"k", correlation=(Header(name="c", value=b"1"),))


def key_of(reply_to: ReplyTo = REPLY_TO, **request: Any) -> bytes:
    fields = {"request_id": "r-1", "received_at": 7, **request}
    settled = RequestSettled(request=make_request(**fields), outcome="answered", settled_at=9)
    return reply_key(settled, reply_to)


def test_reply_key_is_equal_for_two_outcomes_of_one_request() -> None:
    assert key_of() == key_of()


@pytest.mark.parametrize("request_", [{"request_id": "r-2"}, {"received_at": 8}])
def test_reply_key_differs_for_another_request_or_a_later_retry(request_: dict[str, Any]) -> None:
    assert key_of(**request_) != key_of()


@pytest.mark.parametrize(
    "change", [{"topic": "llm.replies.other"}, {"partition": 6}, {"key": b"l"}, {"correlation": ()}]
)
def test_reply_key_differs_for_another_reply_address(change: dict[str, Any]) -> None:
    assert key_of(dataclasses.replace(REPLY_TO, **change)) != key_of()


def test_only_the_first_position_of_a_key_is_replied_to() -> None:
    replies = ReplyDeduplicator()

    assert replies.is_first(b"a", (0, 1))
    assert not replies.is_first(b"a", (0, 2))


def test_same_position_is_replied_to_again_after_a_redelivery() -> None:
    replies = ReplyDeduplicator()
    replies.is_first(b"a", (0, 1))

    assert replies.is_first(b"a", (0, 1))


def test_oldest_key_is_forgotten_at_the_limit() -> None:
    replies = ReplyDeduplicator(max_replies=2)
    for offset, key in enumerate((b"a", b"b", b"c")):
        replies.is_first(key, (0, offset))

    assert not replies.is_first(b"b", (0, 9))
    assert replies.is_first(b"a", (0, 9))
