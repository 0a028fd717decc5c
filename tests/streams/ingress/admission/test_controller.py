from __future__ import annotations

import asyncio
from typing import Any

import pytest

from schemas.events.catalog import RequestReceived, RequestSettled
from streams.ingress.admission.wait_estimate import BacklogSample, WaitEstimator
from tests.eventually import eventually
from tests.streams.ingress.fake_log import StageAnswer, reply_record
from tests.streams.ingress.gateway import Gateway, running

KEYLESS = {"X-Request-Timeout": "20"}


def observe_backlog(estimator: WaitEstimator, wait_s: float, batch: int = 0) -> None:
    """Observe a backlog in which no request has finished for this long."""
    for at_s in (0.0, wait_s):
        estimator.observe(BacklogSample(at_s, waiting=5000, finished=0, batch=batch))


@pytest.mark.parametrize(("wait_s", "retry_after"), [(21.0, "1"), (50.0, "30"), (900.0, "60")])
async def test_request_is_rejected_if_the_estimated_wait_exceeds_its_timeout(
    gateway: Gateway, wait_s: float, retry_after: str
) -> None:
    observe_backlog(gateway.ingress.wait_estimator, wait_s)

    response = await gateway.chat(KEYLESS)

    assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
    assert response.json()["error"]["type"] == "server_error"
    assert response.headers["retry-after"] == retry_after
    assert await gateway.count("sluice_ingress_refused_total") == 1


async def test_rejection_is_recorded(gateway: Gateway) -> None:
    observe_backlog(gateway.ingress.wait_estimator, 300.0)

    response = await gateway.chat()

    (event,) = gateway.log.events()
    assert isinstance(event, RequestSettled)
    assert (event.outcome, event.failure and event.failure.code) == ("refused", "overloaded")
    assert event.request.request_id == response.headers["x-request-id"]


async def test_request_with_a_longer_timeout_is_admitted(gateway: Gateway) -> None:
    observe_backlog(gateway.ingress.wait_estimator, 30.0)

    assert (await gateway.chat()).status_code == 200


async def test_configured_max_wait_limits_the_wait() -> None:
    async with running(overload={"max_wait_s": 5}) as gateway:
        observe_backlog(gateway.ingress.wait_estimator, 6.0)

        assert (await gateway.chat()).status_code == 503


async def test_batch_lane_is_admitted_until_its_backlog_is_full() -> None:
    async with running(overload={"max_batch_backlog": 1000}) as gateway:
        observe_backlog(gateway.ingress.wait_estimator, 900.0, batch=999)
        before = await gateway.chat({"X-Sluice-Lane": "batch"})
        observe_backlog(gateway.ingress.wait_estimator, 900.0, batch=1000)
        after = await gateway.chat({"X-Sluice-Lane": "batch"})

    assert (before.status_code, after.status_code) == (200, 503)
    assert after.json()["error"]["code"] == "overloaded"


def answer(gateway: Gateway, *events: RequestReceived) -> None:
    """Deliver replies to these requests."""
    gateway.log.replies.put_nowait([reply_record(event, StageAnswer()) for event in events])


async def test_request_beyond_max_in_flight_is_rejected_until_one_finishes() -> None:
    async with running(tenants={"default": {"max_in_flight": 2}}) as gateway:
        gateway.log.answers = lambda _: None
        waiting = [asyncio.create_task(gateway.chat()) for _ in range(2)]
        await eventually(lambda: len(gateway.log.requests()) == 2)

        refused = await gateway.chat()
        gateway.log.answers = lambda _: StageAnswer()
        answer(gateway, gateway.log.requests()[0])
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        later = await gateway.chat()
        answer(gateway, gateway.log.requests()[1])
        await asyncio.wait(waiting)

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_in_flight")
    assert refused.headers["retry-after"] == "1"
    assert later.status_code == 200


async def test_error_messages_name_the_limits() -> None:
    limits: dict[str, Any] = {"tenants": {"default": {"max_in_flight": 1}}, "overload": {"max_batch_backlog": 1}}
    async with running(**limits) as gateway:
        observe_backlog(gateway.ingress.wait_estimator, 1.0, batch=1)
        batch = await gateway.chat({"X-Sluice-Lane": "batch"})
        gateway.log.answers = lambda _: None
        await gateway.chat({"Prefer": "respond-async"})
        more = await gateway.chat()

    assert "Requests waiting in the batch lane: 1." in batch.json()["error"]["message"]
    assert more.json()["error"]["message"].startswith("Your limit of requests in flight is reached: 1.")


async def test_async_and_abandoned_requests_count_until_their_reply() -> None:
    async with running(tenants={"default": {"max_in_flight": 2}}) as gateway:
        gateway.log.answers = lambda _: None
        accepted = await gateway.chat({"Prefer": "respond-async"})
        abandoned = asyncio.create_task(gateway.chat())
        await eventually(lambda: len(gateway.log.requests()) == 2)
        abandoned.cancel()
        await asyncio.wait([abandoned])

        refused = [await gateway.chat({"Prefer": "respond-async"}), await gateway.chat()]
        answer(gateway, *gateway.log.requests())
        await eventually(gateway.log.replies.empty)
        gateway.log.answers = lambda _: StageAnswer()
        later = [await gateway.chat({"Prefer": "respond-async"}), await gateway.chat()]

    assert accepted.status_code == 202
    assert [response.status_code for response in refused] == [429, 429]
    assert [response.status_code for response in later] == [202, 200]


async def test_request_that_was_not_published_does_not_count() -> None:
    async with running(tenants={"default": {"max_in_flight": 1}}) as gateway:
        gateway.log.available = False
        await gateway.chat({"Prefer": "respond-async"})
        gateway.log.available = True

        assert (await gateway.chat({"Prefer": "respond-async"})).status_code == 202


async def test_backlog_metrics_report_both_lanes_and_the_estimate(gateway: Gateway) -> None:
    observe_backlog(gateway.ingress.wait_estimator, 30.0, batch=7)

    assert await gateway.count('sluice_ingress_backlog{lane="interactive"}') == 5000
    assert await gateway.count('sluice_ingress_backlog{lane="batch"}') == 7
    assert await gateway.count("sluice_ingress_expected_wait_seconds") == 30
