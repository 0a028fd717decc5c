from __future__ import annotations

from typing import Any

import pytest

from schemas.events.catalog import RequestRouted, RequestSettled
from schemas.kafka.headers import last_value
from streams.composition import route_config
from streams.config.settings import Settings
from streams.pipeline.stage import DeadLetterError
from streams.route.stage import CACHED_NAME_LIMIT, PLAN_CACHE_SIZE, RouteStage
from tests.factories import admitted, make_request, now_ms, read, record, routed

PROVIDERS = {"sim": {"kind": "simulated"}, "other": {"kind": "simulated"}}


def settings(**models: Any) -> Settings:
    return Settings.model_validate({"providers": PROVIDERS, "models": models})


def test_routed_event_keeps_the_fields_of_the_admitted_event() -> None:
    event = admitted("sim/echo")
    stage = RouteStage(route_config(Settings()))

    (output,) = stage.process(record(event, "llm.admitted.v1"))

    (out,) = read(output)
    assert isinstance(out, RequestRouted)
    assert (out.request, out.model, out.body, out.labels) == (event.request, event.model, event.body, event.labels)
    assert out.admitted_at == event.admitted_at <= out.routed_at
    assert out.config_hash == Settings().hash
    assert (output.topic, output.key) == ("llm.routed.v1", event.request.request_id.encode())


def test_routed_event_is_written_to_the_topic_of_its_lane() -> None:
    event = admitted("demo", lane="batch")

    (output,) = RouteStage(route_config(Settings())).process(record(event, "llm.admitted.batch.v1"))

    assert output.topic == "llm.routed.batch.v1"
    assert last_value(output.headers, "traceparent") == event.request.traceparent.encode()
    assert last_value(output.headers, "ce_source") == b"/sluice/route"


def test_unknown_model_settles_the_request_as_refused() -> None:
    event = admitted("gpt-9")

    (output,) = RouteStage(route_config(Settings())).process(record(event))

    (out,) = read(output)
    assert isinstance(out, RequestSettled)
    assert out.outcome == "refused"
    assert out.failure is not None
    assert out.failure.code == "model_not_found"
    assert out.input == event.body
    assert (output.topic, output.key) == ("llm.outcomes.v1", event.request.request_id.encode())


def test_request_after_its_deadline_is_settled_as_expired() -> None:
    event = admitted("sim/echo", deadline_at=now_ms() - 1)

    (out,) = read(*RouteStage(route_config(Settings())).process(record(event)))

    assert out.outcome == "expired"
    assert out.failure.code == "deadline_exceeded"


def test_event_of_another_class_is_a_dead_letter() -> None:
    with pytest.raises(DeadLetterError, match="RequestRouted"):
        RouteStage(route_config(Settings())).process(record(routed(request_id=make_request().request_id)))


def test_requests_of_a_model_with_a_fixed_order_share_one_plan() -> None:
    stage = RouteStage(route_config(settings(fast={"targets": ["sim/echo"]})))

    first, again, other = [read(*stage.process(record(admitted(name))))[0] for name in ("fast", "fast", "sim/echo")]

    assert first.plan is again.plan
    assert other.plan.alias == "sim/echo"


def test_weighted_plan_is_drawn_for_each_request() -> None:
    stage = RouteStage(route_config(settings(drawn={"targets": ["sim/a", "sim/b"], "policy": "weighted"})))

    events = read(*(output for _ in range(64) for output in stage.process(record(admitted("drawn")))))

    assert {event.plan.targets[0].model for event in events} == {"a", "b"}


def test_plan_cache_is_cleared_when_full() -> None:
    stage = RouteStage(route_config(settings()))

    for number in range(PLAN_CACHE_SIZE + 2):
        stage.process(record(admitted(f"sim/{number}")))

    assert len(stage._plans) == 2


def test_plan_of_a_very_long_model_name_is_not_cached() -> None:
    stage = RouteStage(route_config(settings()))

    stage.process(record(admitted("sim/" + "m" * CACHED_NAME_LIMIT)))

    assert not stage._plans
