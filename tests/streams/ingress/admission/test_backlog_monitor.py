from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from connectors.kafka import BrokerUnavailableError
from connectors.kafka.admin.lag import TopicBacklog
from schemas.kafka.topics import Topic, Topics
from streams.ingress.admission import backlog_monitor
from streams.ingress.admission.wait_estimate import BacklogSample, WaitEstimator
from tests.eventually import eventually

TOPICS = Topics(tenants=("acme",))


def found(**waiting: int) -> dict[str, TopicBacklog]:
    read = [topic for stage in backlog_monitor.STAGES for topic in TOPICS.sources_of(stage)]
    names = {topic.name: topic.name.removeprefix("llm.").removesuffix(".v1").replace(".", "_") for topic in read}
    return {name: TopicBacklog(waiting.get(short, 0), 40 if short == "routed" else 1) for name, short in names.items()}


def test_sample_adds_the_lags_of_all_stages_by_lane() -> None:
    lags = found(requests=1, requests_acme=2, admitted=4, routed=8, requests_batch=16, routed_batch=32)

    assert backlog_monitor.to_sample(lags, TOPICS, 5.0) == BacklogSample(5.0, waiting=15, finished=40, batch=48)


@pytest.mark.parametrize("error", [BrokerUnavailableError("away"), ValueError("odd")])
async def test_failed_measurement_resets_the_estimate_and_is_repeated(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog_monitor, "POLL_INTERVAL_S", 0.001)
    answers: list[dict[str, TopicBacklog] | Exception] = [
        found(routed=500),
        error,
        found(routed=500),
        found(routed=700),
    ]
    seen: list[int] = []
    estimator = WaitEstimator()

    async def measure(sources: Mapping[str, Sequence[Topic]]) -> Mapping[str, TopicBacklog]:
        assert sources["llm.call"] == TOPICS.sources_of("call")
        seen.append(estimator.waiting)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monitor = asyncio.create_task(backlog_monitor.monitor_backlog(estimator, measure, TOPICS))
    await eventually(lambda: len(seen) > 4)
    monitor.cancel()

    assert seen[:5] == [0, 500, 0, 500, 700]
