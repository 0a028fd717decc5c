from __future__ import annotations

from typing import Any

import pytest

from streams.config.settings import Settings
from streams.pipeline.authorization import UNKNOWN_KEY, Authorizer
from tests.factories import make_request

HASH = "sha256:" + "0" * 64


def permissions(**acme: Any) -> Authorizer:
    keys = [
        {"id": "wide", "tenant": "acme", "hash": HASH},
        {"id": "narrow", "tenant": "acme", "hash": HASH, "models": ["small-*"], "operations": ["embeddings"]},
    ]
    return Authorizer(Settings.model_validate({"tenants": {"acme": acme, "other": {}}, "keys": keys}))


def test_in_open_mode_everybody_may_ask_for_everything() -> None:
    open_mode = Authorizer(Settings())

    assert open_mode.check_operation(make_request()) is None
    assert open_mode.check_model(make_request(), "any/model") is None


@pytest.mark.parametrize(
    ("tenant", "key_id"), [("acme", "gone"), ("acme", ""), ("other", "wide"), ("gone", "wide"), ("default", "")]
)
def test_a_key_that_is_not_configured_for_this_tenant_is_refused_over_http(tenant: str, key_id: str) -> None:
    assert permissions().check_operation(make_request(tenant=tenant, key_id=key_id)) is UNKNOWN_KEY


def test_a_tenant_that_writes_to_its_own_topic_needs_no_key() -> None:
    assert permissions().check_operation(make_request(tenant="acme", source="kafka")) is None


def test_a_key_and_its_tenant_must_both_allow_the_operation() -> None:
    no_chat = permissions(operations=["embeddings"])

    by_key = permissions().check_operation(make_request(tenant="acme", key_id="narrow"))
    by_tenant = no_chat.check_operation(make_request(tenant="acme", source="kafka"))

    assert permissions().check_operation(make_request(tenant="acme", key_id="wide")) is None
    assert permissions().check_operation(make_request(tenant="acme", key_id="narrow", operation="embeddings")) is None
    for failure in (by_key, by_tenant):
        assert failure is not None
        assert (failure.status, failure.type, failure.code) == (403, "permission_error", "operation_not_allowed")


@pytest.mark.parametrize(
    ("key_id", "model", "allowed"),
    [
        ("wide", "small-1", True),
        ("wide", "large-1", False),
        ("wide", "sim/echo", True),
        ("narrow", "small-1", True),
        ("narrow", "sim/echo", False),
        ("narrow", "Small-1", False),
    ],
)
def test_a_key_and_its_tenant_must_both_allow_the_model(key_id: str, model: str, allowed: bool) -> None:
    asked = make_request(tenant="acme", key_id=key_id)

    failure = permissions(models=["small-*", "sim/*"]).check_model(asked, model)

    assert (failure is None) is allowed
    assert failure is None or (failure.status, failure.code, failure.param) == (403, "model_not_allowed", "model")


@pytest.mark.parametrize(("key_id", "aliases"), [("wide", ["small-1", "small-2"]), ("narrow", ["small-1"]), ("", [])])
def test_the_aliases_of_a_caller_are_those_that_both_allow_in_the_order_of_the_configuration(
    key_id: str, aliases: list[str]
) -> None:
    names = ("small-1", "large-1", "small-2")
    configured = Settings.model_validate(
        {
            "models": {name: {"targets": ["sim/echo"]} for name in names},
            "providers": {"sim": {"kind": "simulated"}},
            "tenants": {"acme": {"models": ["small-*"]}, "default": {"models": []}},
            "keys": [
                {"id": "wide", "tenant": "acme", "hash": HASH},
                {"id": "narrow", "tenant": "acme", "hash": HASH, "models": ["*-1"]},
            ],
        }
    )

    assert Authorizer(configured).allowed_models("acme" if key_id else "default", key_id) == aliases
