from __future__ import annotations

import asyncio

import pytest

from schemas.events.catalog import RequestSettled
from schemas.events.parts import Failure, Request
from schemas.kafka.records import ProducerRecord
from schemas.kafka.topics import Topics
from streams.ingress.metrics import Metrics
from streams.ingress.requests import refusal_recorder as recorder
from streams.ingress.requests.refusal_recorder import PER_SECOND, RefusalRecorder
from tests.streams.ingress.fake_log import FakeLog

REQUEST = Request(
    request_id="018f0000-0000-7000-8000-000000000000",
    tenant="",
    operation="chat",
    source="http",
    received_at=1,
    deadline_at=2,
)
FAILURE = Failure(status=401, type="invalid_request_error", code="invalid_api_key", message="No.")
UNRECORDED = "sluice_ingress_refusals_unrecorded_total"


class SilentLog(FakeLog):
    async def send(self, output: ProducerRecord) -> None:  # noqa: ARG002 - never looks at it
        await asyncio.Event().wait()


async def test_rejection_becomes_a_settled_request_without_reply_address() -> None:
    log, metrics = FakeLog(), Metrics()

    await RefusalRecorder(log, Topics().outcomes, metrics, "abc").record(REQUEST, FAILURE)

    (event,) = log.events()
    assert isinstance(event, RequestSettled)
    assert (event.outcome, event.failure, event.input, event.config_hash) == ("refused", FAILURE, "", "abc")
    assert event.request.reply_to is None


async def test_rejections_beyond_the_limit_are_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder.time, "monotonic", lambda: 1.0)  # type: ignore[attr-defined]
    log, metrics = FakeLog(), Metrics()
    records = RefusalRecorder(log, Topics().outcomes, metrics, "abc")

    for _ in range(PER_SECOND + 3):
        await records.record(REQUEST, FAILURE)

    assert len(log.written) == PER_SECOND
    assert metrics.registry.get_sample_value(UNRECORDED) == 3


@pytest.mark.parametrize("log", [FakeLog(available=False), SilentLog()])
async def test_rejection_that_can_not_be_recorded_is_counted_without_delay(
    log: FakeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "ACK_TIMEOUT_S", 0.01)
    metrics = Metrics()

    await RefusalRecorder(log, Topics().outcomes, metrics, "abc").record(REQUEST, FAILURE)

    assert metrics.registry.get_sample_value(UNRECORDED) == 1
