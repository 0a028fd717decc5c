from __future__ import annotations

import importlib
import pkgutil

import pytest

from connectors import providers
from connectors.providers import KINDS, make, parse_settings


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_the_class_of_the_file_of_its_name(kind: str) -> None:
    module = importlib.import_module(f"connectors.providers.{kind}")

    assert KINDS[kind].__module__ == module.__name__
    assert kind in {found.name for found in pkgutil.iter_modules(providers.__path__)}


NEEDED = {"azure": {"resource": "mine"}, "bedrock": {"region": "eu-central-1"}}
"""Beside a key."""


@pytest.mark.parametrize("kind", KINDS)
async def test_a_kind_needs_little_to_be_made_and_closed(kind: str) -> None:
    settings = parse_settings({"kind": kind, "api_key": "k", **NEEDED.get(kind, {})})

    provider = make("p", settings)
    await provider.close()

    assert settings.kind == kind


def test_a_kind_may_have_a_name_that_no_file_could_have() -> None:
    assert parse_settings({"kind": "llama.cpp"}).kind == "llamacpp"


@pytest.mark.parametrize("wrong", [None, {}, {"kind": "abacus"}, {"kind": ["openai"]}, 5])
def test_an_unknown_kind_is_refused_with_the_known_ones(wrong: object) -> None:
    with pytest.raises(ValueError, match=", ".join(sorted(KINDS))):
        parse_settings(wrong)
