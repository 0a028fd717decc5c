from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events.parts import Failure, Plan
from streams.composition import route_config
from streams.config.settings import Settings
from streams.route.planning import plan
from tests.factories import admitted

PROVIDERS = {"sim": {"kind": "simulated"}, "other": {"kind": "simulated"}}


def settings(**models: Any) -> Settings:
    return Settings.model_validate({"providers": PROVIDERS, "models": models})


WEIGHTED = settings(mix={"targets": ["sim/a", "sim/b", "sim/c"], "policy": "weighted"})


def planned(model: str, settings_: Settings, **request: Any) -> Plan:
    result = plan(admitted(model, **request), route_config(settings_))
    assert isinstance(result, Plan)
    return result


def names(result: Plan) -> list[str]:
    return [f"{target.provider}/{target.model}" for target in result.targets]


def test_plan_of_an_alias_has_its_targets_in_order() -> None:
    model = {"targets": ["other/a/b:c", "sim/echo"], "timeout_s": 2.5, "max_attempts": 2, "on_in_doubt": "fail"}

    result = planned("fast", settings(fast=model))

    assert names(result) == ["other/a/b:c", "sim/echo"]
    assert [target.timeout_ms for target in result.targets] == [2500, 2500]
    assert (result.alias, result.max_attempts, result.on_in_doubt) == ("fast", 2, "fail")


def test_policy_latency_keeps_the_configured_order() -> None:
    result = planned("fast", settings(fast={"targets": ["other/a", "sim/echo"], "policy": "latency"}))

    assert (names(result), result.policy) == (["other/a", "sim/echo"], "latency")


def test_provider_and_model_is_a_direct_target() -> None:
    result = planned("other/org/name:latest", settings())

    assert names(result) == ["other/org/name:latest"]
    assert result.targets[0].timeout_ms == 60_000


def test_alias_takes_precedence_over_a_direct_target() -> None:
    result = planned("sim/echo", settings(**{"sim/echo": {"targets": ["other/echo"]}}))

    assert names(result) == ["other/echo"]


def test_default_configuration_plans_the_simulated_provider() -> None:
    assert names(planned("demo", Settings())) == ["sim/echo"]
    assert names(planned("sim/echo", Settings())) == ["sim/echo"]


@given(st.uuids())
def test_weighted_order_follows_from_the_request_id(request_id: object) -> None:
    drawn = [names(planned("mix", WEIGHTED, request_id=str(request_id))) for _ in range(2)]

    assert drawn[0] == drawn[1]
    assert sorted(drawn[0]) == ["sim/a", "sim/b", "sim/c"]


def test_weighted_targets_are_first_in_proportion_to_their_weight() -> None:
    targets = [{"target": "sim/heavy", "weight": 3}, {"target": "sim/light", "weight": 1}]
    settings_ = settings(mix={"targets": targets, "policy": "weighted"})

    first = Counter(names(planned("mix", settings_))[0] for _ in range(2000))

    assert 1400 < first["sim/heavy"] < 1600


@pytest.mark.parametrize("unknown", ["gpt-9", "nowhere/model", "sim/", "/echo", ""])
def test_unknown_model_is_refused_with_a_list_of_models(unknown: str) -> None:
    failure = plan(admitted(unknown), route_config(settings(one={"targets": ["sim/a"]}, two={"targets": ["sim/b"]})))

    assert isinstance(failure, Failure)
    assert (failure.status, failure.type, failure.code) == (404, "invalid_request_error", "model_not_found")
    assert failure.param == "model"
    assert "one, two" in failure.message


def test_refusal_lists_at_most_5_models_that_the_caller_may_use() -> None:
    many = {f"open-{number}": {"targets": ["sim/a"]} for number in range(9)}
    settings_ = Settings.model_validate(
        {
            "providers": PROVIDERS,
            "models": {"secret": {"targets": ["sim/a"]}, **many},
            "tenants": {"acme": {"models": ["*"]}},
            "keys": [{"id": "k1", "tenant": "acme", "hash": "sha256:" + "0" * 64, "models": ["open-*"]}],
        }
    )

    failure = plan(admitted("gpt-9", tenant="acme", key_id="k1"), route_config(settings_))

    assert isinstance(failure, Failure)
    assert "secret" not in failure.message
    assert "open-4, …" in failure.message


def test_refusal_truncates_a_long_model_name() -> None:
    failure = plan(admitted("x" * 5000), route_config(settings()))

    assert isinstance(failure, Failure)
    assert len(failure.message) < 300
