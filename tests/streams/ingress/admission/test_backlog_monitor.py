from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from connectors.kafka import BrokerUnavailableError
from connectors.kafka.admin.lag import GroupLag
from schemas.kafka.topics import Topic, Topics
from streams.ingress.admission import backlog_monitor as watching
from streams.ingress.admission.wait_estimate import BacklogSample, WaitEstimator
from tests.eventually import eventually

TOPICS = Topics(tenants=("acme",))


def found(**waiting: int) -> dict[str, GroupLag]:
    read = [topic for stage in watching.STAGES for topic in TOPICS.sources_of(stage)]
    names = {topic.name: topic.name.removeprefix("llm.").removesuffix(".v1").replace(".", "_") for topic in read}
    return {name: GroupLag(waiting.get(short, 0), 40 if short == "routed" else 1) for name, short in names.items()}


def test_what_waits_is_told_by_lane_wherever_it_stands() -> None:
    standing = found(requests=1, requests_acme=2, admitted=4, routed=8, requests_batch=16, routed_batch=32)

    assert watching.sample(standing, TOPICS, 5.0) == BacklogSample(5.0, waiting=15, finished=40, batch=48)


@pytest.mark.parametrize("error", [BrokerUnavailableError("away"), ValueError("odd")])
async def test_while_the_log_can_not_be_asked_nothing_is_known_and_it_is_asked_again(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "POLL_INTERVAL_S", 0.001)
    answers: list[dict[str, GroupLag] | Exception] = [found(routed=500), error, found(routed=500), found(routed=700)]
    seen: list[int] = []
    pressure = WaitEstimator()

    async def look(asked: Mapping[str, Sequence[Topic]]) -> Mapping[str, GroupLag]:
        assert asked["llm.call"] == TOPICS.sources_of("call")
        seen.append(pressure.waiting)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    watching_it = asyncio.create_task(watching.monitor_backlog(pressure, look, TOPICS))
    await eventually(lambda: len(seen) > 4)
    watching_it.cancel()

    assert seen[:5] == [0, 500, 0, 500, 700]
