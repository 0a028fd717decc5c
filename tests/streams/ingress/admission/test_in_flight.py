from __future__ import annotations

from streams.ingress.admission.in_flight import InFlightRequests
from tests.eventually import eventually
from tests.factories import make_request

LIMITS = {"acme": 5}
ACME = make_request(tenant="acme")


async def test_requests_are_counted_by_tenant_until_their_reply() -> None:
    in_flight = InFlightRequests(LIMITS)
    for correlation in ("a", "b"):
        in_flight.add(ACME, correlation, 10)

    in_flight.remove("a")
    in_flight.remove("a")

    assert (in_flight.count("acme"), in_flight.count("globex")) == (1, 0)


async def test_request_without_a_reply_is_dropped_after_its_deadline() -> None:
    in_flight = InFlightRequests(LIMITS)

    in_flight.add(ACME, "a", 0.01)

    assert in_flight.count("acme") == 1
    await eventually(lambda: in_flight.count("acme") == 0)


async def test_nothing_is_kept_of_a_tenant_that_may_have_any_number() -> None:
    in_flight = InFlightRequests(LIMITS)

    in_flight.add(make_request(tenant="globex"), "a", 10)

    assert in_flight.count("globex") == 0
