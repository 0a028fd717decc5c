from __future__ import annotations

import pytest

from streams.ingress.errors import ApiError
from streams.ingress.replies.pending import PendingReplies, WaitEnd
from streams.ingress.replies.reader import Reply

REPLY = Reply("r", "c", 200, "answered", "", None, b"{}")


async def test_a_reply_reaches_the_caller_with_its_correlation_id() -> None:
    waiters = PendingReplies(limit=2)

    with waiters.register("c", 10) as waiter, waiters.register("other", 0.01) as other:
        delivered = waiters.resolve(REPLY)

        assert delivered
        assert await waiter.wait() is REPLY
        assert await other.wait() is WaitEnd.TIMED_OUT
    assert len(waiters) == 0


async def test_a_reply_that_nobody_waits_for_is_not_taken() -> None:
    waiters = PendingReplies(limit=1)
    with waiters.register("c", 10):
        pass

    assert not waiters.resolve(REPLY)


async def test_a_reply_that_comes_as_the_wait_ends_is_not_lost() -> None:
    waiters = PendingReplies(limit=1)

    with waiters.register("c", 10) as waiter:
        waiter.resolve(WaitEnd.TIMED_OUT)
        waiters.resolve(REPLY)
        waiter.resolve(WaitEnd.CLOSING)

        assert await waiter.wait() is REPLY


async def test_one_more_caller_than_may_wait_is_refused_and_told_when_to_come_back() -> None:
    waiters = PendingReplies(limit=1)

    with waiters.register("c", 10), pytest.raises(ApiError) as caught:
        waiters.check()

    assert caught.value.failure.status == 503
    assert caught.value.failure.message == "The limit of waiting callers is reached: 1. Retry later."
    assert caught.value.headers["retry-after"] == "1"
    waiters.check()  # there is room again


async def test_giving_up_ends_every_wait() -> None:
    waiters = PendingReplies(limit=2)

    with waiters.register("c", 10) as one, waiters.register("d", 10) as two:
        waiters.abort_all()

        assert [await one.wait(), await two.wait()] == [WaitEnd.CLOSING, WaitEnd.CLOSING]
