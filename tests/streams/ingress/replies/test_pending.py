from __future__ import annotations

import pytest

from streams.ingress.errors import ApiError
from streams.ingress.replies.pending import PendingReplies, WaitEnd
from streams.ingress.replies.reader import Reply

REPLY = Reply("r", "c", 200, "answered", "", None, b"{}")


async def test_reply_is_delivered_by_correlation_id() -> None:
    waiters = PendingReplies(limit=2)

    with waiters.register("c", 10) as waiter, waiters.register("other", 0.01) as other:
        delivered = waiters.resolve(REPLY)

        assert delivered
        assert await waiter.wait() is REPLY
        assert await other.wait() is WaitEnd.TIMED_OUT
    assert len(waiters) == 0


async def test_reply_without_waiting_caller_is_not_resolved() -> None:
    waiters = PendingReplies(limit=1)
    with waiters.register("c", 10):
        pass

    assert not waiters.resolve(REPLY)


async def test_reply_replaces_an_earlier_end_before_the_caller_resumes() -> None:
    waiters = PendingReplies(limit=1)

    with waiters.register("c", 10) as waiter:
        waiter.resolve(WaitEnd.TIMED_OUT)
        waiters.resolve(REPLY)
        waiter.resolve(WaitEnd.CLOSING)

        assert await waiter.wait() is REPLY


async def test_caller_beyond_the_limit_is_rejected_with_retry_after() -> None:
    waiters = PendingReplies(limit=1)

    with waiters.register("c", 10), pytest.raises(ApiError) as caught:
        waiters.check()

    assert caught.value.failure.status == 503
    assert caught.value.failure.message == "The limit of waiting callers is reached: 1. Retry later."
    assert caught.value.headers["retry-after"] == "1"
    waiters.check()  # there is room again


async def test_abort_all_ends_every_wait() -> None:
    waiters = PendingReplies(limit=2)

    with waiters.register("c", 10) as one, waiters.register("d", 10) as two:
        waiters.abort_all()

        assert [await one.wait(), await two.wait()] == [WaitEnd.CLOSING, WaitEnd.CLOSING]
