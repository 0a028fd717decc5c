from __future__ import annotations

from schemas.events.parts import Failure, PolicyAction
from streams.pipeline.settlement import settle, settle_refused
from tests.factories import admitted, make_request, routed

FAILURE = Failure(status=400, type="invalid_request_error", code="policy_violation", message="no")


def test_refused_request_is_settled_without_its_body() -> None:
    request, action = make_request(), PolicyAction(rule="deny.x", action="block")

    event = settle_refused(request, "refused", FAILURE, 5, model="demo", actions=(action,), config_hash="c")

    assert (event.request, event.outcome, event.failure, event.settled_at) == (request, "refused", FAILURE, 5)
    assert (event.model, event.actions, event.input, event.admitted_at) == ("demo", (action,), "", None)


def test_settled_event_copies_the_admitted_request() -> None:
    event = admitted()

    end = settle(event, "refused", FAILURE, 5, config_hash="routes")

    assert (end.request, end.model, end.input, end.labels) == (event.request, event.model, event.body, event.labels)
    assert (end.admitted_at, end.routed_at, end.config_hash) == (event.admitted_at, None, "routes")


def test_settled_event_keeps_the_routing_time_and_configuration() -> None:
    event = routed()

    end = settle(event, "failed", FAILURE, 5)

    assert (end.routed_at, end.config_hash) == (event.routed_at, event.config_hash)
