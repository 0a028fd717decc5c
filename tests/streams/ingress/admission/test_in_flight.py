from __future__ import annotations

from streams.config.settings import Settings
from streams.ingress.admission.in_flight import UnderWay
from tests.making import make_request
from tests.polling import eventually

SETTINGS = Settings.model_validate({"tenants": {"acme": {"max_in_flight": 5}, "globex": {}}})
ACME = make_request(tenant="acme")


async def test_requests_are_counted_by_tenant_until_their_replies_are_here() -> None:
    under_way = UnderWay(SETTINGS)
    for correlation in ("a", "b"):
        under_way.begin(ACME, correlation, 10)

    under_way.end("a")
    under_way.end("a")

    assert (under_way.of("acme"), under_way.of("globex")) == (1, 0)


async def test_one_without_a_reply_is_forgotten_when_its_time_is_over() -> None:
    under_way = UnderWay(SETTINGS)

    under_way.begin(ACME, "a", 0.01)

    assert under_way.of("acme") == 1
    await eventually(lambda: under_way.of("acme") == 0)


async def test_nothing_is_kept_of_a_tenant_that_may_have_any_number() -> None:
    under_way = UnderWay(SETTINGS)

    under_way.begin(make_request(tenant="globex"), "a", 10)

    assert under_way.of("globex") == 0
