from __future__ import annotations

import pytest

from connectors.providers import KINDS, make_provider, parse_settings


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_names_its_class(kind: str) -> None:
    assert KINDS[kind].__name__.lower() == kind
    assert KINDS[kind].Settings.model_fields["kind"].default == kind


NEEDED = {"azure": {"resource": "mine"}, "bedrock": {"region": "eu-central-1"}}
"""Beside a key."""


@pytest.mark.parametrize("kind", KINDS)
async def test_a_kind_needs_little_to_be_made_and_closed(kind: str) -> None:
    settings = parse_settings({"kind": kind, "api_key": "k", **NEEDED.get(kind, {})})

    provider = make_provider("p", settings)
    await provider.close()

    assert settings.kind == kind


def test_a_kind_may_have_a_name_that_no_file_could_have() -> None:
    assert parse_settings({"kind": "llama.cpp"}).kind == "llamacpp"


@pytest.mark.parametrize("wrong", [None, {}, {"kind": "abacus"}, {"kind": ["openai"]}, 5])
def test_an_unknown_kind_is_refused_with_the_known_ones(wrong: object) -> None:
    with pytest.raises(ValueError, match=", ".join(sorted(KINDS))):
        parse_settings(wrong)
