from __future__ import annotations

import pytest

from streams.ingress.errors import RefusedError
from streams.ingress.replies.pending import NoReply, Waiters
from streams.ingress.replies.reader import Reply

REPLY = Reply("r", "c", 200, "answered", "", None, b"{}")


async def test_a_reply_reaches_the_caller_with_its_correlation_id() -> None:
    waiters = Waiters(limit=2)

    with waiters.enter("c", 10) as waiter, waiters.enter("other", 0.01) as other:
        delivered = waiters.deliver(REPLY)

        assert delivered
        assert await waiter.ended() is REPLY
        assert await other.ended() is NoReply.TIMED_OUT
    assert len(waiters) == 0


async def test_a_reply_that_nobody_waits_for_is_not_taken() -> None:
    waiters = Waiters(limit=1)
    with waiters.enter("c", 10):
        pass

    assert not waiters.deliver(REPLY)


async def test_a_reply_that_comes_as_the_wait_ends_is_not_lost() -> None:
    waiters = Waiters(limit=1)

    with waiters.enter("c", 10) as waiter:
        waiter.end(NoReply.TIMED_OUT)
        waiters.deliver(REPLY)
        waiter.end(NoReply.CLOSING)

        assert await waiter.ended() is REPLY


async def test_one_more_caller_than_may_wait_is_refused_and_told_when_to_come_back() -> None:
    waiters = Waiters(limit=1)

    with waiters.enter("c", 10), pytest.raises(RefusedError) as caught:
        waiters.check()

    assert caught.value.failure.status == 503
    assert caught.value.failure.message == "As many callers wait as may: 1. Try again in a moment."
    assert caught.value.headers["retry-after"] == "1"
    waiters.check()  # there is room again


async def test_giving_up_ends_every_wait() -> None:
    waiters = Waiters(limit=2)

    with waiters.enter("c", 10) as one, waiters.enter("d", 10) as two:
        waiters.give_up()

        assert [await one.ended(), await two.ended()] == [NoReply.CLOSING, NoReply.CLOSING]
