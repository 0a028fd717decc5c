from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from streams.config.deployment import ClickHouseSettings, HttpSettings
from streams.config.settings import Settings

HASH = "sha256:" + "0" * 64


def faults(content: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as raised:
        Settings.model_validate(content)
    return [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in raised.value.errors()]


def test_defaults_have_a_simulated_provider_and_a_model() -> None:
    settings = Settings.model_validate({})

    assert [target.provider for target in settings.models["demo"].targets] == ["sim"]
    assert settings.providers["sim"].kind == "simulated"


def test_configured_providers_replace_the_simulated_one() -> None:
    settings = Settings.model_validate({"providers": {"own": {"kind": "openai", "base_url": "http://127.0.0.1:1/v1"}}})

    assert list(settings.providers) == ["own"]
    assert settings.models == {}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"modles": {}}, "modles: Extra inputs are not permitted"),
        (
            {"providers": {"x": {"kind": "telepathy"}}},
            "providers.x: Value error, kind must be one of: ",
        ),
        ({"models": {"m": {"targets": ["nobody/x"]}}}, "provider 'nobody' is not configured (configured: sim)"),
        ({"models": {"m": {"targets": []}}}, "models.m.targets: Tuple should have at least 1 item"),
        ({"models": {"m": {"targets": ["no-slash"]}}}, "models.m.targets.0.target: String should match pattern"),
        ({"tenants": {"acme": {"policy": "strict"}}}, "tenants.acme: policy 'strict' is not configured"),
        ({"keys": [{"id": "k", "tenant": "who", "hash": HASH}]}, "keys: tenant 'who' of key 'k' is not configured"),
        ({"keys": [{"id": "k", "tenant": "default", "hash": HASH}] * 2}, "keys: two keys have the same id"),
        ({"keys": [{"id": "k", "tenant": "default", "hash": "sk-plain"}]}, "keys.0.hash: String should match pattern"),
        ({"tenants": {"Upper": {}}}, "tenants.Upper.[key]: String should match pattern"),
        ({"policies": {"p": {"pii": {"SHOE_SIZE": "mask"}}}}, "policies.p.pii.SHOE_SIZE.[key]: Input should be"),
        ({"policies": {"p": {"deny": [{"name": "r"}]}}}, "a deny rule needs keywords or a pattern"),
        ({"policies": {"p": {"deny": [{"name": "r", "pattern": "("}]}}}, "policies.p.deny.0: Value error, "),
        ({"http": {"port": 70000}}, "http.port: Input should be less than or equal to 65535"),
        (
            {"http": {"instance": 2, "instances": 2}},
            "http: Value error, instance must be at most 1",
        ),
        ({"deadline_s": 0}, "deadline_s: Input should be greater than 0"),
    ],
)
def test_invalid_setting_is_an_error_with_its_place(content: dict[str, Any], fault: str) -> None:
    assert any(fault in message for message in faults(content)), faults(content)


def test_all_faults_are_reported_together() -> None:
    assert len(faults({"deadline_s": 0, "http": {"port": -1}, "modles": {}})) == 3


def test_target_is_split_at_the_first_slash() -> None:
    settings = Settings.model_validate({"models": {"m": {"targets": ["sim/org/model"]}}})

    (target,) = settings.models["m"].targets
    assert (target.provider, target.model, target.weight) == ("sim", "org/model", 1.0)


def test_anonymous_tenant_exists_with_a_policy_that_allows_everything() -> None:
    settings = Settings.model_validate({})

    assert settings.known_tenants == {"default"}
    assert settings.policy("default").deny == ()


def test_public_json_has_no_secret() -> None:
    secret = "sk-very-secret"
    provider = {"kind": "openai", "api_key": secret, "headers": {"x-own": secret}}
    settings = Settings.model_validate({"providers": {"own": provider}, "clickhouse": {"url": f"http://u:{secret}@c"}})

    assert secret not in settings.public_json
    assert secret not in repr(settings.providers)
    assert "api.openai.com" in settings.public_json


def test_hash_covers_request_settings_but_not_deployment_settings() -> None:
    here = Settings.model_validate({"http": {"port": 1}})
    there = Settings.model_validate({"http": {"port": 2}, "kafka": {"bootstrap_servers": "k:9092"}, "state": "/tmp/x"})
    other = Settings.model_validate({"deadline_s": 5})

    assert here.hash == there.hash != other.hash
    assert len(here.hash) == 12


def test_hash_does_not_depend_on_provider_keys() -> None:
    hashes = {
        Settings.model_validate({"providers": {"own": {"kind": "openai", "api_key": key}}}).hash for key in ("a", "b")
    }

    assert len(hashes) == 1


def test_public_json_restores_the_same_models() -> None:
    settings = Settings.model_validate({})

    assert json.loads(settings.public_json)["models"]["demo"]["targets"][0]["target"] == "sim/echo"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("::1", "http://[::1]:8080"),
        ("gateway.local", "http://gateway.local:8080"),
    ],
)
def test_http_url_is_the_listen_address(host: str, url: str) -> None:
    assert HttpSettings(host=host).url == url


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        (ClickHouseSettings(), "http://127.0.0.1:8123"),
        (ClickHouseSettings(url="https://me:sk-secret@ch.example:8443"), "https://ch.example:8443"),
    ],
)
def test_clickhouse_location_has_no_login(settings: ClickHouseSettings, place: str) -> None:
    assert settings.location == place


def test_tenant_name_of_the_batch_topic_is_an_error() -> None:
    with pytest.raises(ValidationError, match="the name batch is not allowed"):
        Settings.model_validate({"tenants": {"batch": {}}})
