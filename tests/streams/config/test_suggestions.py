from __future__ import annotations

from typing import Any

import pytest

from streams.config.suggestions import suggest

SIMULATED = {"providers": {"own": {"kind": "simulated"}}}
AZURE = {"providers": {"own": {"kind": "azure"}}}


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (("provider",), "providers"),
        (("http", "prot"), "port"),
        (("models", "targets", "timeout"), "timeout_s"),
        (("models", "m", "targets", 0, "wieght"), "weight"),
        (("keys", 0, "tennant"), "tenant"),
        (("kafka", "security", "user_name"), "username"),
        (("kafka", "security", "oauth", "clientid"), "client_id"),
        (("policies", "p", "deny", 0, "keyword"), "keywords"),
    ],
)
def test_unknown_name_suggests_the_most_similar_one_of_its_section(place: tuple[str | int, ...], name: str) -> None:
    assert suggest(place, {}) == name


@pytest.mark.parametrize("place", [("nope",), ("http", "providers"), ("tenants", "acme", "deadline")])
def test_unknown_name_without_a_similar_one_has_no_suggestion(place: tuple[str, ...]) -> None:
    assert not suggest(place, {})


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (SIMULATED, "apikey", "api_key"),
        (AZURE, "deployment", "deployments"),
        (SIMULATED, "deployment", ""),
        ({"providers": {"own": "sim"}}, "apikey", "api_key"),
    ],
    ids=["any-kind", "its-kind", "another-kind", "no-kind"],
)
def test_provider_setting_suggests_names_of_its_kind(content: dict[str, Any], name: str, expected: str) -> None:
    assert suggest(("providers", "own", name), content) == expected
