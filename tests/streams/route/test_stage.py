from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events.catalog import RequestRouted, RequestSettled
from schemas.events.parts import Failure, Plan
from schemas.kafka.headers import last_value
from streams.app import route_config
from streams.config.settings import Settings
from streams.pipeline.stage import DeadLetterError
from streams.route.planning import plan
from streams.route.stage import CACHED_NAME_LIMIT, PLAN_CACHE_SIZE, RouteStage
from tests.factories import admitted, make_request, now_ms, read, record, routed

PROVIDERS = {"sim": {"kind": "simulated"}, "other": {"kind": "simulated"}}


def settings(**models: Any) -> Settings:
    return Settings.model_validate({"providers": PROVIDERS, "models": models})


def planned(model: str, configured: Settings, **request: Any) -> Plan:
    made = plan(admitted(model, **request), route_config(configured))
    assert isinstance(made, Plan)
    return made


def names(made: Plan) -> list[str]:
    return [f"{target.provider}/{target.model}" for target in made.targets]


def test_an_alias_becomes_its_targets_in_order_with_its_limits() -> None:
    model = {"targets": ["other/a/b:c", "sim/echo"], "timeout_s": 2.5, "max_attempts": 2, "on_in_doubt": "fail"}

    made = planned("fast", settings(fast=model))

    assert names(made) == ["other/a/b:c", "sim/echo"]
    assert [target.timeout_ms for target in made.targets] == [2500, 2500]
    assert (made.alias, made.max_attempts, made.on_in_doubt) == ("fast", 2, "fail")


def test_by_latency_is_left_to_the_call_stage() -> None:
    made = planned("fast", settings(fast={"targets": ["other/a", "sim/echo"], "policy": "latency"}))

    assert (names(made), made.policy) == (["other/a", "sim/echo"], "latency")


def test_provider_and_model_need_no_alias() -> None:
    made = planned("other/org/name:latest", settings())

    assert names(made) == ["other/org/name:latest"]
    assert made.targets[0].timeout_ms == 60_000


def test_an_alias_wins_over_a_provider_of_its_name() -> None:
    made = planned("sim/echo", settings(**{"sim/echo": {"targets": ["other/echo"]}}))

    assert names(made) == ["other/echo"]


def test_without_a_configuration_there_is_something_to_try() -> None:
    assert names(planned("demo", Settings())) == ["sim/echo"]
    assert names(planned("sim/echo", Settings())) == ["sim/echo"]


WEIGHTED = settings(mix={"targets": ["sim/a", "sim/b", "sim/c"], "policy": "weighted"})


@given(st.uuids())
def test_a_weighted_draw_is_the_same_for_the_same_request(request_id: object) -> None:
    drawn = [names(planned("mix", WEIGHTED, request_id=str(request_id))) for _ in range(2)]

    assert drawn[0] == drawn[1]
    assert sorted(drawn[0]) == ["sim/a", "sim/b", "sim/c"]


def test_weighted_targets_come_first_as_often_as_their_weight_says() -> None:
    targets = [{"target": "sim/heavy", "weight": 3}, {"target": "sim/light", "weight": 1}]
    configured = settings(mix={"targets": targets, "policy": "weighted"})

    first = Counter(names(planned("mix", configured))[0] for _ in range(2000))

    assert 1400 < first["sim/heavy"] < 1600


@pytest.mark.parametrize("unknown", ["gpt-9", "nowhere/model", "sim/", "/echo", ""])
def test_an_unknown_model_is_refused_with_those_that_exist(unknown: str) -> None:
    failure = plan(admitted(unknown), route_config(settings(one={"targets": ["sim/a"]}, two={"targets": ["sim/b"]})))

    assert isinstance(failure, Failure)
    assert (failure.status, failure.type, failure.code) == (404, "invalid_request_error", "model_not_found")
    assert failure.param == "model"
    assert "one, two" in failure.message


def test_a_refusal_lists_only_models_that_the_caller_may_use_and_not_all() -> None:
    many = {f"open-{number}": {"targets": ["sim/a"]} for number in range(9)}
    configured = Settings.model_validate(
        {
            "providers": PROVIDERS,
            "models": {"secret": {"targets": ["sim/a"]}, **many},
            "tenants": {"acme": {"models": ["*"]}},
            "keys": [{"id": "k1", "tenant": "acme", "hash": "sha256:" + "0" * 64, "models": ["open-*"]}],
        }
    )

    failure = plan(admitted("gpt-9", tenant="acme", key_id="k1"), route_config(configured))

    assert isinstance(failure, Failure)
    assert "secret" not in failure.message
    assert "open-4, …" in failure.message


def test_a_long_name_does_not_make_a_long_message() -> None:
    failure = plan(admitted("x" * 5000), route_config(settings()))

    assert isinstance(failure, Failure)
    assert len(failure.message) < 300


def test_the_stage_writes_a_routed_request_that_kept_all_of_the_admitted_one() -> None:
    event = admitted("sim/echo")
    stage = RouteStage(route_config(Settings()))

    (output,) = stage.process(record(event, "llm.admitted.v1"))

    (out,) = read(output)
    assert isinstance(out, RequestRouted)
    assert (out.request, out.model, out.body, out.labels) == (event.request, event.model, event.body, event.labels)
    assert out.admitted_at == event.admitted_at <= out.routed_at
    assert out.config_hash == Settings().hash
    assert (output.topic, output.key) == ("llm.routed.v1", event.request.request_id.encode())


def test_a_request_keeps_its_lane() -> None:
    event = admitted("demo", lane="batch")

    (output,) = RouteStage(route_config(Settings())).process(record(event, "llm.admitted.batch.v1"))

    assert output.topic == "llm.routed.batch.v1"
    assert last_value(output.headers, "traceparent") == event.request.traceparent.encode()
    assert last_value(output.headers, "ce_source") == b"/sluice/route"


def test_an_unknown_model_settles_the_request_as_refused() -> None:
    event = admitted("gpt-9")

    (output,) = RouteStage(route_config(Settings())).process(record(event))

    (out,) = read(output)
    assert isinstance(out, RequestSettled)
    assert out.outcome == "refused"
    assert out.failure is not None
    assert out.failure.code == "model_not_found"
    assert out.input == event.body
    assert (output.topic, output.key) == ("llm.outcomes.v1", event.request.request_id.encode())


def test_an_overdue_request_settles_as_expired() -> None:
    event = admitted("sim/echo", deadline_at=now_ms() - 1)

    (out,) = read(*RouteStage(route_config(Settings())).process(record(event)))

    assert out.outcome == "expired"
    assert out.failure.code == "deadline_exceeded"


def test_a_foreign_event_is_a_dead_letter() -> None:
    with pytest.raises(DeadLetterError, match="RequestRouted"):
        RouteStage(route_config(Settings())).process(record(routed(request_id=make_request().request_id)))


def test_requests_of_a_model_whose_targets_stand_in_one_order_share_its_plan() -> None:
    stage = RouteStage(route_config(settings(fast={"targets": ["sim/echo"]})))

    first, again, other = [read(*stage.process(record(admitted(name))))[0] for name in ("fast", "fast", "sim/echo")]

    assert first.plan is again.plan
    assert other.plan.alias == "sim/echo"


def test_a_draw_is_made_for_each_request_of_its_own() -> None:
    stage = RouteStage(route_config(settings(drawn={"targets": ["sim/a", "sim/b"], "policy": "weighted"})))

    events = read(*(output for _ in range(64) for output in stage.process(record(admitted("drawn")))))

    assert {event.plan.targets[0].model for event in events} == {"a", "b"}


def test_however_many_models_are_named_few_plans_are_kept() -> None:
    stage = RouteStage(route_config(settings()))

    for number in range(PLAN_CACHE_SIZE + 2):
        stage.process(record(admitted(f"sim/{number}")))

    assert len(stage._plans) == 2


def test_the_plan_of_a_model_with_a_very_long_name_is_not_kept() -> None:
    stage = RouteStage(route_config(settings()))

    stage.process(record(admitted("sim/" + "m" * CACHED_NAME_LIMIT)))

    assert not stage._plans
