from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

import orjson
import pytest

from connectors.providers.provider import ProviderAnswer, ProviderError
from schemas.events.catalog import AttemptStarted, RequestRouted
from schemas.events.parts import Change, ReplyTo, Usage
from streams.call.attempts import RequestEnd, is_client_retry, to_finished_event, to_settled_event
from streams.call.pricing import PriceBook
from streams.config.settings import Settings
from streams.pipeline.failures import EXPIRED
from tests.factories import make_request, routed


def started(event: RequestRouted) -> AttemptStarted:
    return AttemptStarted(
        request=event.request, attempt=2, provider="sim", model="m", worker="w", started_at=5, expires_at=50
    )


def prices(**own: float) -> PriceBook:
    settings = Settings.model_validate({"prices": {"sim/m": own} if own else {}})
    return PriceBook(settings.prices, settings.providers)


def test_finished_event_writes_a_tiny_cost_without_exponent() -> None:
    answer = ProviderAnswer({}, 200, Usage(input_tokens=1))

    event = to_finished_event(started(routed()), answer, 9, prices(input_mtok=0.1))

    assert event.cost_usd == "0.0000001"
    assert Decimal(event.cost_usd) == Decimal("1e-7")


def test_finished_event_of_an_unpriced_model_has_no_cost() -> None:
    assert (
        to_finished_event(started(routed()), ProviderAnswer({}, 200, Usage(input_tokens=1)), 9, prices()).cost_usd
        is None
    )


def test_finished_event_keeps_the_text_of_an_answer_unescaped() -> None:
    event = to_finished_event(
        started(routed()), ProviderAnswer({"a": "Grüße \u0000 \U0001f30a"}, 200, Usage()), 9, prices()
    )

    assert orjson.loads(event.body) == {"a": "Grüße \u0000 \U0001f30a"}
    assert "Grüße" in event.body


def test_finished_event_of_an_error_has_status_and_retry_after() -> None:
    error = ProviderError("rate_limited", "slow down", http_status=429, retry_after_s=1.0001)

    event = to_finished_event(started(routed()), error, 9, prices())

    assert (event.error_type, event.http_status, event.error_message) == ("rate_limited", 429, "slow down")
    assert (event.retry_after_ms, event.body, event.attempt, event.finished_at) == (1001, "", 2, 9)


def test_finished_event_of_an_error_has_the_sent_body_and_changes() -> None:
    error = ProviderError("invalid_request", "no", http_status=400)
    error.sent, error.changes = b'{"a": 1}', (Change(param="seed", action="dropped"),)

    event = to_finished_event(started(routed()), error, 9, prices())

    assert (event.sent, event.changes) == ('{"a": 1}', error.changes)


def test_settled_event_of_a_request_without_attempts_has_no_target() -> None:
    event = routed()

    out = to_settled_event(event, RequestEnd(event.request, "expired", EXPIRED, (), 9), 12)

    assert (out.attempts, out.called_at, out.provider, out.settled_at, out.replayed) == (0, None, "", 9, False)


def test_settled_event_of_a_replay_has_the_time_of_the_replay() -> None:
    event = routed()

    out = to_settled_event(event, RequestEnd(make_request(received_at=1), "expired", EXPIRED, (), 9), 12)

    assert (out.replayed, out.settled_at, out.request) == (True, 12, event.request)


@pytest.mark.parametrize(
    ("change", "repeat"),
    [
        ({"traceparent": "another"}, False),
        ({"received_at": 1}, True),
        ({"reply_to": None}, True),
        ({"reply_to": ReplyTo(topic="llm.replies.tests", partition=1)}, True),
    ],
)
def test_client_retry_has_another_receive_time_or_reply_address(change: dict[str, Any], *, repeat: bool) -> None:
    first = make_request()

    assert is_client_retry(dataclasses.replace(first, **change), first) is repeat
