from __future__ import annotations

import orjson
import pytest

from streams.ingress.replies.cache import ENTRY_BYTES, ReplyCache
from streams.ingress.replies.reader import Reply


def reply(request_id: str, body: bytes = b'{"n":1.0}', outcome: str = "answered", status: int = 200) -> Reply:
    return Reply(request_id, "c", status, outcome, "", None, body)


def test_request_is_pending_until_its_reply_is_stored() -> None:
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


def test_document_embeds_the_answer_unchanged() -> None:
    answers = ReplyCache()
    answers.mark_pending("r", "acme", 0)

    answers.store(reply("r", b'{ "n": 1.00 }'))

    answer = answers.get("r", "acme")
    assert answer is not None
    assert b'"response":{ "n": 1.00 }' in answer.document()


def test_document_of_a_failure_has_its_error() -> None:
    answers = ReplyCache()
    answers.mark_pending("r", "acme", 0)

    answers.store(reply("r", b'{"error":{"code":"policy_violation"}}', "refused", 400))

    answer = answers.get("r", "acme")
    assert answer is not None
    document = orjson.loads(answer.document())
    assert (document["status"], document["error"]) == ("refused", {"code": "policy_violation"})
    assert "response" not in document


def test_cache_hides_requests_of_other_tenants() -> None:
    answers = ReplyCache()
    answers.mark_pending("r", "acme", 0)

    assert answers.get("r", "globex") is None


def test_reply_of_an_unknown_request_is_not_stored() -> None:
    assert not ReplyCache().store(reply("r"))


def test_repeated_request_keeps_the_stored_answer() -> None:
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
def test_cache_prefers_an_answer_else_the_last_reply(first: str, then: str, stays: str) -> None:
    answers = ReplyCache()
    answers.mark_pending("r", "acme", 0)

    for outcome in (first, then):
        assert answers.store(reply("r", outcome.encode(), outcome))

    answer = answers.get("r", "acme")
    assert answer is not None
    assert (answer.outcome, answer.body) == (stays, stays.encode())
    assert answers.bytes == ENTRY_BYTES + len(stays)


def test_oldest_entry_of_a_tenant_is_evicted_beyond_max_bytes() -> None:
    answers = ReplyCache(max_bytes=2 * ENTRY_BYTES + 10)
    for name in ("a", "b"):
        answers.mark_pending(name, "acme", 0)

    answers.store(reply("a", b"12345678"))
    answers.store(reply("b", b"12345678"))

    assert answers.get("a", "acme") is None
    assert answers.get("b", "acme") is not None
    assert answers.bytes == ENTRY_BYTES + 8


@pytest.mark.parametrize("body", [b"", b"x" * 50_000], ids=["pending", "answered"])
def test_tenant_that_floods_pushes_out_no_answer_of_another(body: bytes) -> None:
    answers = ReplyCache(max_bytes=1_000_000)
    answers.mark_pending("paid", "acme", 0)
    answers.store(reply("paid", b"x" * 100_000))

    for number in range(2000):
        answers.mark_pending(str(number), "globex", 0)
        answers.store(reply(str(number), body))

    assert answers.get("paid", "acme") is not None
    assert answers.get("0", "globex") is None
    assert answers.bytes <= 1_000_000


def test_entries_expire_after_keep_s() -> None:
    answers = ReplyCache(keep_s=-1)

    answers.mark_pending("r", "acme", 0)

    assert answers.get("r", "acme") is None
    assert len(answers) == 0
