from __future__ import annotations

from typing import Any

from schemas.events.catalog import AttemptFinished, AttemptStarted, RequestRouted
from schemas.kafka.records import ProducerRecord
from streams.call.idempotency.claims import InDoubt, Unclaimed
from streams.call.plan_execution import start
from tests.factories import routed


async def emit_nothing(_: ProducerRecord) -> None:
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


def test_start_finds_the_targets_of_earlier_attempts() -> None:
    event = routed("a/x", "b/y", "c/z")
    known = (failed(event, "a/x", 1), failed(event, "c/z", 2, retry_after_ms=1500))

    execution = start(event, 1, emit_nothing, Unclaimed(known))

    assert [(failure.target_index, failure.retry_after_s) for failure in execution.failures] == [(0, None), (2, 1.5)]
    assert execution.attempts == known


def test_start_counts_an_attempt_at_a_removed_target_for_the_last_target() -> None:
    event = routed("a/x", "b/y")

    execution = start(event, 1, emit_nothing, Unclaimed((failed(event, "b/y", 1), failed(event, "gone/q", 2))))

    assert [failure.target_index for failure in execution.failures] == [1, 1]


def test_start_counts_attempts_in_doubt_as_timeouts() -> None:
    event = routed("a/x", "b/y")
    in_doubt = AttemptStarted(
        request=event.request, attempt=3, provider="b", model="y", worker="w", started_at=1, expires_at=2
    )

    execution = start(event, 1, emit_nothing, InDoubt(in_doubt, (failed(event, "a/x", 1),)))

    assert [(failure.target_index, failure.error_type) for failure in execution.failures] == [
        (0, "server"),
        (1, "timeout"),
        (1, "timeout"),
    ]
