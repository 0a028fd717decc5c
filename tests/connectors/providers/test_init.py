from __future__ import annotations

import pytest

from connectors.providers import KINDS, make_provider, parse_settings


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_class(kind: str) -> None:
    assert KINDS[kind].__name__.lower() == kind
    assert KINDS[kind].Settings.model_fields["kind"].default == kind


NEEDED = {"azure": {"resource": "mine"}, "bedrock": {"region": "eu-central-1"}}
"""Beside a key."""


@pytest.mark.parametrize("kind", KINDS)
async def test_provider_of_every_kind_is_created_and_closed(kind: str) -> None:
    settings = parse_settings({"kind": kind, "api_key": "k", **NEEDED.get(kind, {})})

    provider = make_provider("p", settings)
    await provider.close()

    assert settings.kind == kind


def test_kind_alias_is_accepted() -> None:
    assert parse_settings({"kind": "llama.cpp"}).kind == "llamacpp"


@pytest.mark.parametrize("wrong", [None, {}, {"kind": "abacus"}, {"kind": ["openai"]}, 5])
def test_unknown_kind_error_lists_the_known_kinds(wrong: object) -> None:
    with pytest.raises(ValueError, match=", ".join(sorted(KINDS))):
        parse_settings(wrong)
