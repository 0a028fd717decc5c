from __future__ import annotations

import pytest

from connectors.providers.anthropic.parameters import CHAT
from connectors.providers.provider import ProviderError


def test_newest_models_drop_sampling_and_record_it() -> None:
    applied = CHAT.apply({"temperature": 0.2, "top_p": 0.9}, "claude-opus-5")

    assert applied.passed == {}
    assert [(change.param, change.action) for change in applied.changes] == [
        ("temperature", "dropped"),
        ("top_p", "dropped"),
    ]


def test_temperature_out_of_range_is_refused() -> None:
    with pytest.raises(ProviderError, match="temperature must be between 0 and 1") as caught:
        CHAT.apply({"temperature": 1.5}, "claude-sonnet-4-5")

    assert caught.value.param == "temperature"


@pytest.mark.parametrize("body", [{"n": 1}, {"logprobs": False}, {"modalities": ["text"]}])
def test_default_value_is_not_recorded(body: dict[str, object]) -> None:
    applied = CHAT.apply(body, "claude-opus-5")

    assert (applied.passed, applied.changes) == ({}, [])


@pytest.mark.parametrize(
    "body", [{"n": 2}, {"logprobs": True}, {"logit_bias": {"1": 1}}, {"functions": []}, {"nobody_knows_this": 1}]
)
def test_unsupported_parameter_is_refused_by_name(body: dict[str, object]) -> None:
    with pytest.raises(ProviderError) as caught:
        CHAT.apply(body, "claude-opus-5")

    assert caught.value.param == next(iter(body))
