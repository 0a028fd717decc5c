from __future__ import annotations

from typing import Any

import pytest

from streams.config.settings import Settings
from streams.pipeline.authorization import UNKNOWN_KEY, Authorizer
from tests.factories import make_request

HASH = "sha256:" + "0" * 64


def make_authorizer(**acme: Any) -> Authorizer:
    keys = [
        {"id": "wide", "tenant": "acme", "hash": HASH},
        {"id": "narrow", "tenant": "acme", "hash": HASH, "models": ["small-*"], "operations": ["embeddings"]},
    ]
    settings = Settings.model_validate({"tenants": {"acme": acme, "other": {}}, "keys": keys})
    return Authorizer(settings.tenants, settings.keys)


def test_without_keys_the_default_tenant_may_do_everything() -> None:
    open_mode = Authorizer({}, ())

    assert open_mode.check_operation(make_request()) is None
    assert open_mode.check_model(make_request(), "any/model") is None


@pytest.mark.parametrize(
    ("tenant", "key_id"), [("acme", "gone"), ("acme", ""), ("other", "wide"), ("gone", "wide"), ("default", "")]
)
def test_http_request_with_a_key_of_another_tenant_is_refused(tenant: str, key_id: str) -> None:
    assert make_authorizer().check_operation(make_request(tenant=tenant, key_id=key_id)) is UNKNOWN_KEY


def test_kafka_request_of_a_tenant_needs_no_key() -> None:
    assert make_authorizer().check_operation(make_request(tenant="acme", source="kafka")) is None


def test_operation_must_be_allowed_by_key_and_tenant() -> None:
    no_chat = make_authorizer(operations=["embeddings"])

    by_key = make_authorizer().check_operation(make_request(tenant="acme", key_id="narrow"))
    by_tenant = no_chat.check_operation(make_request(tenant="acme", source="kafka"))

    assert make_authorizer().check_operation(make_request(tenant="acme", key_id="wide")) is None
    assert (
        make_authorizer().check_operation(make_request(tenant="acme", key_id="narrow", operation="embeddings")) is None
    )
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
def test_model_must_be_allowed_by_key_and_tenant(key_id: str, model: str, allowed: bool) -> None:
    request = make_request(tenant="acme", key_id=key_id)

    failure = make_authorizer(models=["small-*", "sim/*"]).check_model(request, model)

    assert (failure is None) is allowed
    assert failure is None or (failure.status, failure.code, failure.param) == (403, "model_not_allowed", "model")


@pytest.mark.parametrize(("key_id", "models"), [("wide", ["small-1", "small-2"]), ("narrow", ["small-1"]), ("", [])])
def test_allowed_models_keep_the_order_of_the_configuration(key_id: str, models: list[str]) -> None:
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

    assert (
        Authorizer(configured.tenants, configured.keys, configured.models).allowed_models(
            "acme" if key_id else "default", key_id
        )
        == models
    )
