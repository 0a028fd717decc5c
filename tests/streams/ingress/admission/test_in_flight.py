from __future__ import annotations

from streams.config.settings import Settings
from streams.ingress.admission.in_flight import InFlightRequests
from tests.eventually import eventually
from tests.factories import make_request

SETTINGS = Settings.model_validate({"tenants": {"acme": {"max_in_flight": 5}, "globex": {}}})
ACME = make_request(tenant="acme")


async def test_requests_are_counted_by_tenant_until_their_replies_are_here() -> None:
    under_way = InFlightRequests(SETTINGS)
    for correlation in ("a", "b"):
        under_way.add(ACME, correlation, 10)

    under_way.remove("a")
    under_way.remove("a")

    assert (under_way.count("acme"), under_way.count("globex")) == (1, 0)


async def test_one_without_a_reply_is_forgotten_when_its_time_is_over() -> None:
    under_way = InFlightRequests(SETTINGS)

    under_way.add(ACME, "a", 0.01)

    assert under_way.count("acme") == 1
    await eventually(lambda: under_way.count("acme") == 0)


async def test_nothing_is_kept_of_a_tenant_that_may_have_any_number() -> None:
    under_way = InFlightRequests(SETTINGS)

    under_way.add(make_request(tenant="globex"), "a", 10)

    assert under_way.count("globex") == 0
