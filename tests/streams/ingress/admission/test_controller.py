from __future__ import annotations

import asyncio
from typing import Any

import pytest

from schemas.events.catalog import RequestReceived, RequestSettled
from streams.ingress.admission.wait_estimate import BacklogSample, WaitEstimator
from tests.eventually import eventually
from tests.streams.ingress.fake_log import Telling, reply_record
from tests.streams.ingress.gateway import Gateway, running

KEYLESS = {"X-Request-Timeout": "20"}


def pressed(pressure: WaitEstimator, wait_s: float, batch: int = 0) -> None:
    """Make it as if nothing had ended for so long."""
    for at_s in (0.0, wait_s):
        pressure.observe(BacklogSample(at_s, waiting=5000, finished=0, batch=batch))


@pytest.mark.parametrize(("wait_s", "retry_after"), [(21.0, "1"), (50.0, "30"), (900.0, "60")])
async def test_who_would_wait_longer_than_it_can_is_told_so_at_once(
    gateway: Gateway, wait_s: float, retry_after: str
) -> None:
    pressed(gateway.ingress.wait_estimator, wait_s)

    response = await gateway.chat(KEYLESS)

    assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
    assert response.json()["error"]["type"] == "server_error"
    assert response.headers["retry-after"] == retry_after
    assert await gateway.count("sluice_ingress_refused_total") == 1


async def test_it_is_on_the_record_as_every_refusal_is(gateway: Gateway) -> None:
    pressed(gateway.ingress.wait_estimator, 300.0)

    response = await gateway.chat()

    (event,) = gateway.log.events()
    assert isinstance(event, RequestSettled)
    assert (event.outcome, event.failure and event.failure.code) == ("refused", "overloaded")
    assert event.request.request_id == response.headers["x-request-id"]


async def test_who_has_the_time_is_let_in(gateway: Gateway) -> None:
    pressed(gateway.ingress.wait_estimator, 30.0)

    assert (await gateway.chat()).status_code == 200


async def test_a_wait_that_is_configured_is_the_longest() -> None:
    async with running(overload={"max_wait_s": 5}) as gateway:
        pressed(gateway.ingress.wait_estimator, 6.0)

        assert (await gateway.chat()).status_code == 503


async def test_the_batch_lane_is_let_in_until_its_backlog_is_full() -> None:
    async with running(overload={"max_batch_backlog": 1000}) as gateway:
        pressed(gateway.ingress.wait_estimator, 900.0, batch=999)
        before = await gateway.chat({"X-Sluice-Lane": "batch"})
        pressed(gateway.ingress.wait_estimator, 900.0, batch=1000)
        after = await gateway.chat({"X-Sluice-Lane": "batch"})

    assert (before.status_code, after.status_code) == (200, 503)
    assert after.json()["error"]["code"] == "overloaded"


def answer(gateway: Gateway, *events: RequestReceived) -> None:
    """Let the replies to these requests come."""
    gateway.log.replies.put_nowait([reply_record(event, Telling()) for event in events])


async def test_a_tenant_may_have_so_many_under_way_and_no_more_until_one_ends() -> None:
    async with running(tenants={"default": {"max_in_flight": 2}}) as gateway:
        gateway.log.answers = lambda _: None
        waiting = [asyncio.create_task(gateway.chat()) for _ in range(2)]
        await eventually(lambda: len(gateway.log.requests()) == 2)

        refused = await gateway.chat()
        gateway.log.answers = lambda _: Telling()
        answer(gateway, gateway.log.requests()[0])
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        later = await gateway.chat()
        answer(gateway, gateway.log.requests()[1])
        await asyncio.wait(waiting)

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_in_flight")
    assert refused.headers["retry-after"] == "1"
    assert later.status_code == 200


async def test_a_bound_of_one_is_told_as_well_as_one_of_many() -> None:
    limits: dict[str, Any] = {"tenants": {"default": {"max_in_flight": 1}}, "overload": {"max_batch_backlog": 1}}
    async with running(**limits) as gateway:
        pressed(gateway.ingress.wait_estimator, 1.0, batch=1)
        batch = await gateway.chat({"X-Sluice-Lane": "batch"})
        gateway.log.answers = lambda _: None
        await gateway.chat({"Prefer": "respond-async"})
        more = await gateway.chat()

    assert "Requests that wait in the batch lane: 1." in batch.json()["error"]["message"]
    assert more.json()["error"]["message"].startswith("You have as many requests under way as you may: 1.")


async def test_those_that_nobody_waits_for_are_among_them_until_their_reply_is_here() -> None:
    async with running(tenants={"default": {"max_in_flight": 2}}) as gateway:
        gateway.log.answers = lambda _: None
        accepted = await gateway.chat({"Prefer": "respond-async"})
        hung_up = asyncio.create_task(gateway.chat())
        await eventually(lambda: len(gateway.log.requests()) == 2)
        hung_up.cancel()
        await asyncio.wait([hung_up])

        refused = [await gateway.chat({"Prefer": "respond-async"}), await gateway.chat()]
        answer(gateway, *gateway.log.requests())
        await eventually(gateway.log.replies.empty)
        gateway.log.answers = lambda _: Telling()
        later = [await gateway.chat({"Prefer": "respond-async"}), await gateway.chat()]

    assert accepted.status_code == 202
    assert [response.status_code for response in refused] == [429, 429]
    assert [response.status_code for response in later] == [202, 200]


async def test_one_that_the_log_did_not_take_is_not_among_them() -> None:
    async with running(tenants={"default": {"max_in_flight": 1}}) as gateway:
        gateway.log.available = False
        await gateway.chat({"Prefer": "respond-async"})
        gateway.log.available = True

        assert (await gateway.chat({"Prefer": "respond-async"})).status_code == 202


async def test_what_is_known_of_the_backlog_is_measured(gateway: Gateway) -> None:
    pressed(gateway.ingress.wait_estimator, 30.0, batch=7)

    assert await gateway.count('sluice_ingress_backlog{lane="interactive"}') == 5000
    assert await gateway.count('sluice_ingress_backlog{lane="batch"}') == 7
    assert await gateway.count("sluice_ingress_expected_wait_seconds") == 30
