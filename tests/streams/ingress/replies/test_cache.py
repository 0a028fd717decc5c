from __future__ import annotations

import orjson
import pytest

from streams.ingress.replies.cache import ReplyCache
from streams.ingress.replies.reader import Reply


def reply(request_id: str, body: bytes = b'{"n":1.0}', outcome: str = "answered", status: int = 200) -> Reply:
    return Reply(request_id, "c", status, outcome, "", None, body)


def test_a_request_is_pending_until_its_reply_is_there() -> None:
    answers = ReplyCache()
    answers.mark_pending("r", "acme", 1_000)
    pending = answers.get("r", "acme")
    assert pending is not None
    before = orjson.loads(pending.document())

    answers.store(reply("r"))

    assert before == {"id": "r", "object": "request", "status": "pending", "created_at": 1}
    after = orjson.loads(pending.document())
    assert (after["status"], after["http_status"], after["response"]) == ("answered", 200, {"n": 1.0})
    assert after["settled_at"] >= after["created_at"]


def test_the_answer_stands_in_the_document_as_it_was_written() -> None:
    answers = ReplyCache()
    answers.mark_pending("r", "acme", 0)

    answers.store(reply("r", b'{ "n": 1.00 }'))

    answer = answers.get("r", "acme")
    assert answer is not None
    assert b'"response":{ "n": 1.00 }' in answer.document()


def test_what_is_no_answer_shows_its_error() -> None:
    answers = ReplyCache()
    answers.mark_pending("r", "acme", 0)

    answers.store(reply("r", b'{"error":{"code":"policy_violation"}}', "refused", 400))

    answer = answers.get("r", "acme")
    assert answer is not None
    document = orjson.loads(answer.document())
    assert (document["status"], document["error"]) == ("refused", {"code": "policy_violation"})
    assert "response" not in document


def test_nobody_sees_another_tenants_request() -> None:
    answers = ReplyCache()
    answers.mark_pending("r", "acme", 0)

    assert answers.get("r", "globex") is None


def test_a_reply_that_nobody_asked_to_keep_is_not_kept() -> None:
    assert not ReplyCache().store(reply("r"))


def test_asking_again_under_the_same_name_does_not_lose_the_answer() -> None:
    answers = ReplyCache()
    answers.mark_pending("r", "acme", 0)
    answers.store(reply("r"))

    is_new = answers.mark_pending("r", "acme", 5)

    answer = answers.get("r", "acme")
    assert not is_new
    assert answer is not None
    assert answer.outcome == "answered"


@pytest.mark.parametrize(
    ("first", "then", "stays"),
    [("answered", "refused", "answered"), ("refused", "answered", "answered"), ("refused", "failed", "failed")],
)
def test_of_two_ends_under_one_name_an_answer_stays_else_the_last(first: str, then: str, stays: str) -> None:
    answers = ReplyCache()
    answers.mark_pending("r", "acme", 0)

    for outcome in (first, then):
        assert answers.store(reply("r", outcome.encode(), outcome))

    answer = answers.get("r", "acme")
    assert answer is not None
    assert (answer.outcome, answer.body) == (stays, stays.encode())
    assert answers.bytes == len(stays)


def test_the_oldest_leave_when_there_are_too_many() -> None:
    answers = ReplyCache(max_entries=2)

    for name in ("a", "b", "c"):
        answers.mark_pending(name, "acme", 0)

    assert [answers.get(name, "acme") is not None for name in ("a", "b", "c")] == [False, True, True]


def test_the_oldest_leave_when_their_bodies_are_too_large_together() -> None:
    answers = ReplyCache(max_bytes=10)
    for name in ("a", "b"):
        answers.mark_pending(name, "acme", 0)

    answers.store(reply("a", b"12345678"))
    answers.store(reply("b", b"12345678"))

    assert answers.get("a", "acme") is None
    assert answers.get("b", "acme") is not None
    assert answers.bytes == 8


def test_nothing_is_kept_beyond_its_time() -> None:
    answers = ReplyCache(keep_s=-1)

    answers.mark_pending("r", "acme", 0)

    assert len(answers) == 0
