from __future__ import annotations

from typing import Any

from schemas.events.catalog import AttemptFinished, AttemptStarted, RequestRouted
from schemas.kafka.records import ProducerRecord
from streams.call.idempotency.claims import InDoubt, Unclaimed
from streams.call.plan_execution import start
from tests.factories import routed


async def nowhere(_: ProducerRecord) -> None:
    raise AssertionError


def failed(event: RequestRouted, target: str, attempt: int, **more: Any) -> AttemptFinished:
    provider, _, model = target.partition("/")
    return AttemptFinished(
        request=event.request,
        attempt=attempt,
        provider=provider,
        model=model,
        worker="w",
        started_at=1,
        finished_at=2,
        error_type="server",
        **more,
    )


def test_known_attempts_are_found_at_their_places_in_the_plan() -> None:
    event = routed("a/x", "b/y", "c/z")
    known = (failed(event, "a/x", 1), failed(event, "c/z", 2, retry_after_ms=1500))

    walk = start(event, 1, nowhere, Unclaimed(known))

    assert [(tried.target_index, tried.retry_after_s) for tried in walk.failures] == [(0, None), (2, 1.5)]
    assert walk.attempts == known


def test_an_attempt_at_a_target_that_the_plan_no_longer_has_counts_where_the_walk_was() -> None:
    event = routed("a/x", "b/y")

    walk = start(event, 1, nowhere, Unclaimed((failed(event, "b/y", 1), failed(event, "gone/q", 2))))

    assert [tried.target_index for tried in walk.failures] == [1, 1]


def test_attempts_whose_end_nobody_knows_are_counted_too() -> None:
    event = routed("a/x", "b/y")
    lost = AttemptStarted(
        request=event.request, attempt=3, provider="b", model="y", worker="w", started_at=1, expires_at=2
    )

    walk = start(event, 1, nowhere, InDoubt(lost, (failed(event, "a/x", 1),)))

    assert [(tried.target_index, tried.error_type) for tried in walk.failures] == [
        (0, "server"),
        (1, "timeout"),
        (1, "timeout"),
    ]
