from __future__ import annotations

from schemas.events import RequestReceived
from streams.failures import EXPIRED
from streams.settled import settled
from tests.making import admitted, make_request, routed


def test_what_nobody_has_allowed_is_not_kept() -> None:
    received = RequestReceived(request=make_request(), body=b"secret")

    event = settled(received, "refused", EXPIRED, 9, config_hash="c")

    assert (event.input, event.model, event.admitted_at) == ("", "", None)
    assert (event.request, event.outcome, event.settled_at, event.config_hash) == (received.request, "refused", 9, "c")


def test_an_admitted_request_keeps_its_body_and_labels() -> None:
    before = admitted()

    event = settled(before, "expired", EXPIRED, 9)

    assert (event.input, event.model, event.labels) == (before.body, before.model, before.labels)
    assert (event.admitted_at, event.routed_at, event.config_hash) == (before.admitted_at, None, "filtered")


def test_a_routed_request_keeps_when_it_was_routed() -> None:
    before = routed()

    assert settled(before, "answered", None, 9).routed_at == before.routed_at
